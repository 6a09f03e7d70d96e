"""A stand-in for Meta's Graph API, and a client."""

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from tests.channel_gateway.channels.whatsapp.graph_double import GraphDouble, running_double


@pytest_asyncio.fixture
async def graph() -> AsyncIterator[GraphDouble]:
    async with running_double() as double:
        yield double


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
