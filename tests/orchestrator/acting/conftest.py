"""A brand with actions, and its own system over real HTTP."""

from collections.abc import AsyncIterator

import pytest_asyncio

from packages.core.db.session import Database
from tests.factories.actions import Stage, make_stage
from tests.fakes import shop_api
from tests.fakes.shop_api import ShopAPI


@pytest_asyncio.fixture
async def stage(database: Database) -> AsyncIterator[Stage]:
    """A brand without actions yet."""
    stage = await make_stage(database)
    yield stage
    await stage.actions.outside.close()


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[ShopAPI]:
    """The brand's own system."""
    async with shop_api.running() as shop:
        yield shop
