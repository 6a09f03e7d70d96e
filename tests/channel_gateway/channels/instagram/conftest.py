"""A stand-in for Instagram's API, and a client."""

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from tests.channel_gateway.channels.instagram.instagram_double import InstagramDouble, running_double


@pytest_asyncio.fixture
async def instagram() -> AsyncIterator[InstagramDouble]:
    async with running_double() as double:
        yield double


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
