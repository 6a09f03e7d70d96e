"""Files by signed links, on the running gateway."""

from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.media import Media
from packages.core.domain.messages import Attachment
from packages.core.links import MediaLinks
from services.channel_gateway.media_endpoints import PIECE
from tests.channel_gateway.conftest import SECRET_KEY, Answer, Gateway, MakeChannel
from tests.factories.accounts import TenantWithBrand
from tests.factories.media import PNG, change_file, file_of, hear_file, make_ready

BIG = bytes(range(256)) * (PIECE // 128 + 3)


class Shelf:
    """A stored file, and the links to it."""

    def __init__(self, gateway: Gateway, database: Database, row: Media) -> None:
        self.gateway, self.database, self.row = gateway, database, row

    def path(self, *, seconds: float = 600, name: str = "photo.png", media_id: object = None) -> str:
        split = urlsplit(MediaLinks("", SECRET_KEY).url(media_id or self.row.id, name, seconds=seconds))
        return f"{split.path}?{split.query}"

    async def get(self, path: str | None = None, method: str = "GET", **headers: str) -> Answer:
        return await self.gateway.call(method, path or self.path(), headers=headers)

    async def store(self, data: bytes = PNG, **values: Any) -> None:
        self.row = await make_ready(self.database, self.gateway.app.state.parts.store, self.row, data, **values)


@pytest_asyncio.fixture
async def shelf(
    gateway: Gateway, database: Database, redis: Redis, tenant: TenantWithBrand, make_channel: MakeChannel
) -> Shelf:
    photo = Attachment(kind="image", external_id="media-1", media_type="image/png")
    taken = await hear_file(database, redis, tenant, await make_channel(), photo)
    made = Shelf(gateway, database, await file_of(database, taken.message_id))
    await made.store()
    return made


class TestRead:
    async def test_gives_the_file(self, shelf: Shelf) -> None:
        answer = await shelf.get()
        assert (answer.status, answer.body) == (200, PNG)
        assert answer.headers["Content-Type"] == "image/png"

    async def test_keeps_the_browser_from_doing_anything_with_it(self, shelf: Shelf) -> None:
        headers = (await shelf.get()).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Content-Security-Policy"].endswith("sandbox")
        assert headers["Referrer-Policy"] == "no-referrer"

    @pytest.mark.parametrize(
        ("kind", "disposition", "sent_as"),
        [
            ("image/png", "inline", "image/png"),
            ("application/pdf", "inline", "application/pdf"),
            ("video/mp4", "inline", "video/mp4"),
            ("application/zip", "attachment", "application/zip"),
            ("text/plain", "attachment", "text/plain"),
            ("text/html", "attachment", "application/octet-stream"),
            ("image/svg+xml", "attachment", "application/octet-stream"),
        ],
    )
    async def test_shows_only_what_is_safe(self, shelf: Shelf, kind: str, disposition: str, sent_as: str) -> None:
        await shelf.store(media_type=kind)
        headers = (await shelf.get()).headers
        assert headers["Content-Disposition"].partition(";")[0] == disposition
        assert headers["Content-Type"].partition(";")[0] == sent_as

    async def test_names_the_file_in_any_script(self, shelf: Shelf) -> None:
        await shelf.store(filename='Grüße "1".png')
        disposition = (await shelf.get()).headers["Content-Disposition"]
        assert disposition == "inline; filename=\"Gr__e _1_.png\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20_1_.png"

    async def test_a_large_file_comes_in_pieces_and_whole(self, shelf: Shelf) -> None:
        await shelf.store(BIG)
        answer = await shelf.get()
        assert (answer.headers["Content-Length"], answer.body == BIG) == (str(len(BIG)), True)

    async def test_an_empty_file(self, shelf: Shelf) -> None:
        await shelf.store(b"")
        assert ((await shelf.get()).status, (await shelf.get()).body) == (200, b"")

    async def test_head(self, shelf: Shelf) -> None:
        answer = await shelf.get(method="HEAD")
        assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, str(len(PNG)), b"")


class TestRange:
    @pytest.mark.parametrize(
        ("wanted", "begin", "end"),
        [
            ("bytes=0-9", 0, 10),
            ("bytes=5-", 5, None),
            ("bytes=-10", -10, None),
            ("bytes=10-999999999", 10, None),
            (f"bytes=10-{PIECE + 20}", 10, PIECE + 21),
        ],
    )
    async def test_a_part(self, shelf: Shelf, wanted: str, begin: int, end: int | None) -> None:
        await shelf.store(BIG)
        answer = await shelf.get(Range=wanted)
        assert (answer.status, answer.body == BIG[begin:end]) == (206, True)
        first = begin % len(BIG)
        assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.body) - 1}/{len(BIG)}"

    @pytest.mark.parametrize("wanted", ["bytes=0-1,5-9", "items=0-1", "bytes=9-2", "bytes=-", "nonsense"])
    async def test_what_is_no_single_range_asks_for_the_whole(self, shelf: Shelf, wanted: str) -> None:
        answer = await shelf.get(Range=wanted)
        assert (answer.status, answer.body) == (200, PNG)

    async def test_beyond_the_end(self, shelf: Shelf) -> None:
        answer = await shelf.get(Range="bytes=5000-")
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(PNG)}")


class TestRefused:
    async def code(self, shelf: Shelf, path: str | None = None) -> tuple[int, str]:
        answer = await shelf.get(path)
        return answer.status, answer.json["error"]["code"]

    async def test_expired(self, shelf: Shelf) -> None:
        assert await self.code(shelf, shelf.path(seconds=-120)) == (403, "link_expired")

    async def test_forged(self, shelf: Shelf) -> None:
        assert await self.code(shelf, shelf.path()[:-4] + "beef") == (403, "bad_link")

    async def test_another_files_signature(self, shelf: Shelf) -> None:
        path = shelf.path(media_id=new_id()).partition("?")[2]
        assert await self.code(shelf, f"/media/{shelf.row.id}/photo.png?{path}") == (403, "bad_link")

    async def test_without_a_signature(self, shelf: Shelf) -> None:
        assert (await self.code(shelf, f"/media/{shelf.row.id}/photo.png"))[0] == 422

    @pytest.mark.parametrize(
        ("state", "refusal"), [("pending", (404, "not_found")), ("failed", (404, "not_found")), ("gone", (410, "gone"))]
    )
    async def test_not_here(self, shelf: Shelf, state: str, refusal: tuple[int, str]) -> None:
        await change_file(shelf.database, shelf.row.id, state=state)
        assert await self.code(shelf) == refusal

    async def test_never_was(self, shelf: Shelf) -> None:
        assert await self.code(shelf, shelf.path(media_id=new_id())) == (410, "gone")

    async def test_the_object_is_missing(self, shelf: Shelf) -> None:
        await shelf.gateway.app.state.parts.store.delete(shelf.row.storage_key)
        assert await self.code(shelf) == (404, "not_found")
