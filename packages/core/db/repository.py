"""What every repository shares: get one row, list a page."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import SQLModel

from packages.core.errors import InvalidInput, NotFound

Table = TypeVar("Table", bound=SQLModel)


@dataclass(frozen=True, slots=True)
class Page(Generic[Table]):
    """Rows of one page, and the cursor of the next (None on the last)."""

    items: list[Table]
    next_cursor: str | None


async def get(session: AsyncSession, table: type[Table], row_id: UUID | str) -> Table:
    """One row by id.

    Raises:
        NotFound: no such row, or it is another tenant's.
    """
    try:
        key = row_id if isinstance(row_id, UUID) else UUID(row_id)
    except ValueError:
        raise NotFound(f"There is no {_label(table)} with this id.") from None
    row = await session.get(table, key)
    if row is None:
        raise NotFound(f"There is no {_label(table)} with this id.")
    return row


async def page(
    session: AsyncSession,
    query: Select[Table],
    *,
    newest_by: Mapped[datetime] | ColumnElement[datetime],
    row_id: Mapped[UUID] | ColumnElement[UUID],
    limit: int,
    cursor: str | None,
) -> Page[Table]:
    """One page of `query`, newest first, by keyset: its cost does not grow with the page's number."""
    if cursor:
        at, last_id = _decode(cursor)
        query = query.where(tuple_(newest_by, row_id) < tuple_(at, last_id))
    key = newest_by.label("page_key")
    rows = (
        await session.execute(query.add_columns(key, row_id).order_by(newest_by.desc(), row_id.desc()).limit(limit + 1))
    ).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return Page([row[0] for row in rows], _encode(rows[-1][1], rows[-1][2]) if more else None)


def _label(table: type[SQLModel]) -> str:
    return str(table.__tablename__).replace("_", " ")


def _encode(at: datetime, row_id: UUID) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([at, row_id])).decode()


def _decode(cursor: str) -> tuple[datetime, UUID]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[datetime, UUID])
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise InvalidInput("The cursor is not one of ours; start again without it.") from None
