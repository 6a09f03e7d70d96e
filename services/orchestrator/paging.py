"""Lists of the API: `?limit=&cursor=` in, `{"items": […], "next_cursor": …}` out."""

from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict
from sqlmodel import SQLModel

from packages.core.db.repository import Page

Item = TypeVar("Item")


class Paging(BaseModel):
    """Which page is asked for."""

    limit: int
    cursor: str | None


async def _paging(
    limit: Annotated[int, Query(ge=1, le=200, description="most items of one page")] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")] = None,
) -> Paging:
    return Paging(limit=limit, cursor=cursor)


ThePaging = Annotated[Paging, Depends(_paging)]


class Listed(BaseModel, Generic[Item]):
    """One page. `next_cursor` is null on the last."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Item]
    next_cursor: str | None = None


Table = TypeVar("Table", bound=SQLModel)


def whole(items: list[Any]) -> Page[Any]:
    """A list that is never long, as its only page."""
    return Page(items, None)
