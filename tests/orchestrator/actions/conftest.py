"""A brand with actions."""

from collections.abc import AsyncIterator

import pytest_asyncio

from packages.core.db.session import Database
from tests.factories.actions import Stage, make_stage
from tests.fakes import mcp_server
from tests.fakes.mcp_server import MCPServer


@pytest_asyncio.fixture
async def stage(database: Database) -> AsyncIterator[Stage]:
    """A brand without actions yet."""
    stage = await make_stage(database)
    yield stage
    await stage.actions.outside.close()


@pytest_asyncio.fixture
async def mcp() -> AsyncIterator[MCPServer]:
    """Somebody's MCP server."""
    async with mcp_server.running() as server:
        yield server
