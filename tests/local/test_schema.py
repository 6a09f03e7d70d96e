from pathlib import Path

import pytest

from services.local import schema
from tests.conftest import Engines


class TestHead:
    def test_is_the_revision_on_which_no_other_builds(self, tmp_path: Path) -> None:
        (tmp_path / "0001_a.py").write_text('revision: str = "0001"\ndown_revision: str | None = None\n')
        (tmp_path / "0002_b.py").write_text("revision = '0002'\ndown_revision = '0001'\n")
        assert schema.head(tmp_path) == "0002"

    def test_two_heads_are_an_error(self, tmp_path: Path) -> None:
        for name in ("0001", "0002"):
            (tmp_path / f"{name}.py").write_text(f'revision = "{name}"\ndown_revision = None\n')
        with pytest.raises(schema.MigrationFailed, match="2 heads"):
            schema.head(tmp_path)


class TestCurrent:
    async def test_a_migrated_database_is_at_the_head(self, engines: Engines) -> None:
        assert await schema.current(engines.postgres_admin_url) == schema.head()

    async def test_a_database_without_schema_is_nowhere(self, engines: Engines) -> None:
        assert await schema.current(engines.postgres_admin_url.rsplit("/", 1)[0] + "/postgres") is None


def test_a_failed_migration_says_why(engines: Engines) -> None:
    with pytest.raises(schema.MigrationFailed, match=r"no_such_database"):
        schema.migrate(engines.postgres_admin_url.rsplit("/", 1)[0] + "/no_such_database")
