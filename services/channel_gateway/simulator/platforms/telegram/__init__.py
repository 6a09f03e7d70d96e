"""Telegram: updates as its servers post and repeat them, and the Bot API at /bot{token}/{method}."""

from services.channel_gateway.simulator.platforms.telegram.bot_api import Telegram

platform = Telegram

__all__ = ["platform"]
