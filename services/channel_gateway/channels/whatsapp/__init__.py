"""WhatsApp through Meta's Cloud API; see README.md."""

from services.channel_gateway.channels.whatsapp.channel import WhatsApp

channel = WhatsApp()
