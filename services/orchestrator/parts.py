"""What the process is made of: pools, clients and loops, built once by the lifespan and asked for by their type."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request
from redis.asyncio import Redis

from packages.core.db.session import Database

Part = TypeVar("Part")


class Parts:
    """One instance per type. A feature asks for what it needs, so nothing has to know them all but `app.py`."""

    def __init__(self) -> None:
        self._by_type: dict[type[Any], object] = {}

    def put(self, kind: type[Part], instance: Part) -> Part:
        """Keep an instance; returns it."""
        self._by_type[kind] = instance
        return instance

    def get(self, kind: type[Part]) -> Part:
        """The instance of a type.

        Raises:
            KeyError: `app.py` did not build one.
        """
        return cast(Part, self._by_type[kind])


def part(kind: type[Part]) -> Callable[[Request], Awaitable[Part]]:
    """A FastAPI dependency that gives the instance of a type."""

    async def given(request: Request) -> Part:
        parts: Parts = request.app.state.parts
        return parts.get(kind)

    return given


TheDatabase = Annotated[Database, Depends(part(Database))]
TheRedis = Annotated["Redis", Depends(part(Redis))]
