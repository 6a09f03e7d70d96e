"""Twilio: the Messages resource and what surrounds it, webhooks and status callbacks signed as Twilio signs them."""

from services.channel_gateway.simulator.platforms.twilio.rest import Twilio

platform = Twilio

__all__ = ["platform"]
