"""Instagram messaging through Meta's API."""

from services.channel_gateway.channels.instagram.channel import Instagram

channel = Instagram()
