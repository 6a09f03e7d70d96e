import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from packages.core.config import Settings, StorageSettings
from packages.core.errors import Unavailable
from packages.core.storage import FolderStore, ObjectStore, S3Store, create
from services.local.engines import Command, free_port, listening
from tests.contracts.object_store import KEY, ObjectStoreContract
from tests.processes import running, venv_binary


class TestFolderStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return FolderStore(tmp_path / "objects")

    async def test_leaves_no_unfinished_file(self, store: ObjectStore, tmp_path: Path) -> None:
        await store.put(KEY, b"x")
        assert [path.name for path in (tmp_path / "objects").rglob("*") if path.is_file()] == ["original"]

    async def test_removes_folders_that_became_empty(self, store: ObjectStore, tmp_path: Path) -> None:
        await store.put(KEY, b"x")
        await store.delete(KEY)
        assert list((tmp_path / "objects").iterdir()) == []

    async def test_puts_beside_deletes_lose_nothing(self, store: ObjectStore) -> None:
        async def replace(number: int) -> None:
            await store.put(f"tenant-a/{number % 2}/file", b"x")
            await store.delete(f"tenant-a/{number % 2}/file")

        await asyncio.gather(*(replace(number) for number in range(400)))
        await store.put(KEY, b"x")
        assert await store.exists(KEY)

    async def test_says_that_its_folder_cannot_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(Unavailable):
            await FolderStore(tmp_path / "file").put(KEY, b"x")


@pytest.fixture(scope="module")
def s3_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageSettings]:
    """An S3-compatible server in a process of its own, spoken to over HTTP."""
    port = free_port()
    command = Command(
        name="moto",
        argv=[venv_binary("moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        ready=lambda: listening(port),
        log=tmp_path_factory.mktemp("moto") / "moto.log",
    )
    with running(command):
        yield StorageSettings.model_validate(
            {"endpoint": f"http://127.0.0.1:{port}", "access_key": "test", "secret_key": "test-secret"}
        )


def make_bucket(settings: StorageSettings) -> str:
    bucket = f"parley-{uuid4().hex[:12]}"
    client = boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        aws_access_key_id="test",
        aws_secret_access_key="test-secret",
    )
    client.create_bucket(Bucket=bucket)
    return bucket


class TestS3Store(ObjectStoreContract):
    @pytest.fixture
    def store(self, s3_settings: StorageSettings) -> ObjectStore:
        return S3Store(make_bucket(s3_settings), s3_settings)

    async def test_deletes_more_objects_than_one_page_lists(
        self, store: ObjectStore, s3_settings: StorageSettings
    ) -> None:
        for number in range(1005):
            await store.put(f"tenant-a/many/{number}", b"")
        await store.delete_prefix("tenant-a/many")
        assert not await store.exists("tenant-a/many/0")
        assert not await store.exists("tenant-a/many/1004")

    async def test_keeps_to_its_prefix(self, s3_settings: StorageSettings) -> None:
        bucket = make_bucket(s3_settings)
        await S3Store(bucket, s3_settings, prefix="parley").put(KEY, b"x")
        assert await S3Store(bucket, s3_settings).exists(f"parley/{KEY}")

    async def test_a_missing_bucket_is_unavailable(self, s3_settings: StorageSettings) -> None:
        with pytest.raises(Unavailable, match="no bucket"):
            await S3Store("parley-absent", s3_settings).ping()

    async def test_a_server_that_is_away_is_unavailable(self) -> None:
        away = StorageSettings.model_validate(
            {"endpoint": f"http://127.0.0.1:{free_port()}", "access_key": "test", "secret_key": "test-secret"}
        )
        with pytest.raises(Unavailable):
            await S3Store("parley-absent", away).get(KEY)


class TestCreate:
    def test_is_a_folder_in_the_data_directory_by_default(self, tmp_path: Path) -> None:
        assert isinstance(create(Settings(data_dir=tmp_path, storage=StorageSettings(url=None))), FolderStore)

    async def test_takes_a_folder_whose_name_is_quoted(self, tmp_path: Path) -> None:
        store = create(Settings(storage=StorageSettings(url=f"file://{tmp_path}/my%20objects")))
        await store.put(KEY, b"x")
        assert (tmp_path / "my objects" / KEY).read_bytes() == b"x"

    async def test_takes_a_bucket_with_a_prefix(self, s3_settings: StorageSettings) -> None:
        bucket = make_bucket(s3_settings)
        url = f"s3://{bucket}/some/where"
        await create(Settings(storage=s3_settings.model_copy(update={"url": url}))).put(KEY, b"x")
        assert await S3Store(bucket, s3_settings).get(f"some/where/{KEY}") == b"x"

    @pytest.mark.parametrize("url", ["http://host/x", "s3://", "file://", "file://otherhost/x", "objects"])
    def test_refuses_another_url(self, url: str) -> None:
        with pytest.raises(ValueError, match="PARLEY_STORAGE__URL"):
            create(Settings(storage=StorageSettings(url=url)))
