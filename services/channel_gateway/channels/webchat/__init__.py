"""Parley's own web chat; see README.md."""

from services.channel_gateway.channels.webchat.channel import Webchat

channel = Webchat()
