"""Alembic's entry: runs as the owner of the schema, over asyncpg."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from packages.core.config import Settings
from packages.core.db import tables
from packages.core.db.session import async_url

assert tables  # importing it registers every table
ONE_AT_A_TIME = 7_305_119_402  # any constant: two processes that migrate at once wait for each other


def include_object(obj: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """Leave out what autogenerate cannot express: partial expression indexes over vectors."""
    return not (kind == "index" and name is not None and name.startswith("hnsw_"))


def run(connection: Connection) -> None:
    """Run the migrations on one connection."""
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        include_object=include_object,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_online() -> None:
    """Connect as the owner and migrate."""
    url = context.config.attributes.get("url") or Settings().postgres_admin_url
    engine = create_async_engine(async_url(url))
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ONE_AT_A_TIME})
        await connection.commit()
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=SQLModel.metadata)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(run_online())
