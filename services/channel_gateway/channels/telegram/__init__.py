"""Telegram bots through python-telegram-bot; see README.md."""

from services.channel_gateway.channels.telegram.channel import Telegram

channel = Telegram()
