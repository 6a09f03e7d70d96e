"""What every object store must do. A test module inherits the class and provides the fixture `store`."""

import asyncio
from pathlib import Path

import pytest

from packages.core.errors import InvalidInput, NotFound
from packages.core.storage import ObjectStore

KEY = "tenant-a/brand/source/original"
BAD_KEYS = [
    "",
    "alone",
    "/tenant/file",
    "tenant/",
    "tenant//file",
    "../tenant/file",
    "tenant/../other/file",
    "tenant/./file",
    "tenant/..",
    "tenant/.hidden",
    "tenant\\file/x",
    "tenant/fi le",
    "tenant/file\n",
    "tenant/file\x00",
    "tenant/ümlaut",
    "tenant/%2e%2e/file",
    "tenant/" + "x" * 201,
    "tenant/" + "x/" * 500 + "x",
]


class ObjectStoreContract:
    async def test_gives_back_what_was_put(self, store: ObjectStore) -> None:
        data = bytes(range(256)) * 4096
        await store.put(KEY, data)
        assert await store.get(KEY) == data

    async def test_takes_a_local_file(self, store: ObjectStore, tmp_path: Path) -> None:
        data = bytes(range(256)) * 20_000
        (tmp_path / "upload").write_bytes(data)
        await store.put_file(KEY, tmp_path / "upload")
        assert await store.get(KEY) == data

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [(0, 4, b"0123"), (3, 2, b"34"), (8, 100, b"89"), (0, 10, b"0123456789"), (10, 5, b""), (50, 5, b"")],
    )
    async def test_gives_a_part_of_an_object(
        self, store: ObjectStore, start: int, length: int, expected: bytes
    ) -> None:
        await store.put(KEY, b"0123456789")
        assert await store.get_range(KEY, start, length) == expected

    async def test_a_part_of_a_missing_object_is_not_found(self, store: ObjectStore) -> None:
        with pytest.raises(NotFound):
            await store.get_range("tenant-a/missing", 0, 10)

    async def test_keeps_an_empty_object(self, store: ObjectStore) -> None:
        await store.put(KEY, b"")
        assert await store.get(KEY) == b""

    async def test_replaces_an_object(self, store: ObjectStore) -> None:
        await store.put(KEY, b"first")
        await store.put(KEY, b"second")
        assert await store.get(KEY) == b"second"

    async def test_a_missing_object_is_not_found(self, store: ObjectStore) -> None:
        with pytest.raises(NotFound):
            await store.get("tenant-a/missing")

    async def test_a_path_above_an_object_is_not_found(self, store: ObjectStore) -> None:
        await store.put(KEY, b"x")
        with pytest.raises(NotFound):
            await store.get("tenant-a/brand")

    async def test_says_whether_an_object_exists(self, store: ObjectStore) -> None:
        assert not await store.exists(KEY)
        await store.put(KEY, b"x")
        assert await store.exists(KEY)
        assert not await store.exists("tenant-a/brand")

    async def test_deletes_an_object(self, store: ObjectStore) -> None:
        await store.put(KEY, b"x")
        await store.delete(KEY)
        assert not await store.exists(KEY)

    async def test_deleting_a_missing_object_is_no_error(self, store: ObjectStore) -> None:
        await store.delete(KEY)
        assert not await store.exists(KEY)

    async def test_deleting_an_object_leaves_its_neighbours(self, store: ObjectStore) -> None:
        await store.put("tenant-a/brand/one", b"1")
        await store.put("tenant-a/brand/two", b"2")
        await store.delete("tenant-a/brand/one")
        assert await store.get("tenant-a/brand/two") == b"2"

    @pytest.mark.parametrize("prefix", ["tenant-a/brand", "tenant-a/brand/"])
    async def test_deletes_whatever_lies_below_a_path(self, store: ObjectStore, prefix: str) -> None:
        keys = [f"tenant-a/brand/{name}" for name in ("one", "two/deep", "three/deep/deeper")]
        await asyncio.gather(*(store.put(key, b"x") for key in keys))
        await store.delete_prefix(prefix)
        assert not any([await store.exists(key) for key in keys])

    async def test_a_path_is_made_of_whole_parts(self, store: ObjectStore) -> None:
        await store.put("tenant-a/brand/one", b"1")
        await store.put("tenant-ab/brand/one", b"2")
        await store.delete_prefix("tenant-a")
        assert await store.get("tenant-ab/brand/one") == b"2"

    async def test_deleting_an_empty_path_is_no_error(self, store: ObjectStore) -> None:
        await store.delete_prefix("tenant-a/nothing")
        assert not await store.exists("tenant-a/nothing")

    @pytest.mark.parametrize("prefix", ["", "/", "..", "tenant/..", "tenant//x"])
    async def test_refuses_to_delete_everything(self, store: ObjectStore, prefix: str) -> None:
        await store.put(KEY, b"x")
        with pytest.raises(InvalidInput):
            await store.delete_prefix(prefix)
        assert await store.exists(KEY)

    @pytest.mark.parametrize("key", BAD_KEYS)
    async def test_refuses_a_malformed_key(self, store: ObjectStore, key: str) -> None:
        with pytest.raises(InvalidInput):
            await store.put(key, b"x")
        with pytest.raises(InvalidInput):
            await store.get(key)

    async def test_readers_see_whole_objects_while_one_is_replaced(self, store: ObjectStore) -> None:
        versions = [bytes([number]) * 200_000 for number in range(6)]
        await store.put(KEY, versions[0])

        async def replace() -> None:
            for version in versions:
                await store.put(KEY, version)

        async def read() -> list[bytes]:
            return [await store.get(KEY) for _ in range(6)]

        _, *seen = await asyncio.gather(replace(), read(), read())
        assert all(data in versions for reader in seen for data in reader)

    async def test_answers_a_ping(self, store: ObjectStore) -> None:
        await store.ping()
        assert not await store.exists(KEY)
