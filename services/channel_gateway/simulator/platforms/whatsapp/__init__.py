"""WhatsApp Cloud API: webhooks as Meta signs and repeats them, and POST /{version}/{phone_number_id}/messages."""

from services.channel_gateway.simulator.platforms.whatsapp.cloud import WhatsApp

platform = WhatsApp

__all__ = ["platform"]
