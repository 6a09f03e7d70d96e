"""Instagram messaging: webhooks as Meta signs and repeats them, POST /{version}/me/messages, and what is beside it."""

from services.channel_gateway.simulator.platforms.instagram.platform import Instagram

platform = Instagram

__all__ = ["platform"]
