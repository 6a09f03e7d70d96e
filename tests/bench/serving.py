"""A program of the benchmark as a process, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench import programs


@asynccontextmanager
async def served(application: str) -> AsyncIterator[int]:
    """Serve an application whose model answers at once; gives its port."""
    async with programs.web(application, {"FAKE_LLM_FIRST_MS": "5", "FAKE_LLM_PIECE_MS": "0"}) as (port, _):
        yield port
