"""A stand-in for Telegram, and the gateway's HTTP client."""

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from tests.channel_gateway.channels.telegram.bot_server import BotServer, serving


@pytest_asyncio.fixture
async def server() -> AsyncIterator[BotServer]:
    async with serving() as running:
        yield running


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
