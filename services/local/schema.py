"""Is the schema at the newest migration? Asked at each start without the second that loading Alembic takes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import asyncpg

ROOT = Path(__file__).parents[2]
VERSIONS = ROOT / "packages/core/db/migrations/versions"
_REVISION = re.compile(r"^(down_)?revision\b[^=]*=\s*(?:\"([^\"]+)\"|'([^']+)'|None)", re.MULTILINE)


class MigrationFailed(Exception):
    """The schema could not be brought to the newest version; the message says why."""


def head(versions: Path = VERSIONS) -> str:
    """The newest revision: the one on which no other builds."""
    revisions, built_upon = _revisions(versions)
    newest = revisions - built_upon
    if len(newest) != 1:
        raise MigrationFailed(f"The migrations in {versions} have {len(newest)} heads; there must be one.")
    return newest.pop()


def is_known(revision: str, versions: Path = VERSIONS) -> bool:
    """Whether a migration of ours made it."""
    return revision in _revisions(versions)[0]


def _revisions(versions: Path) -> tuple[set[str], set[str]]:
    revisions: set[str] = set()
    built_upon: set[str] = set()
    for file in versions.glob("*.py"):
        for down, double, single in _REVISION.findall(file.read_text()):
            (built_upon if down else revisions).add(double or single)
    return revisions, built_upon


async def current(admin_url: str) -> str | None:
    """The revision of a database, None if it has no schema yet."""
    connection = await asyncpg.connect(admin_url.replace("+asyncpg", ""), timeout=10)
    try:
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            return None
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        return revision
    finally:
        await connection.close()


def migrate(admin_url: str) -> None:
    """Run the migrations (blocking).

    Raises:
        MigrationFailed: with the last words of Alembic.
    """
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env={**os.environ, "PARLEY_POSTGRES__ADMIN_URL": admin_url},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise MigrationFailed(f"The schema could not be migrated: {(done.stderr or done.stdout).strip()[-800:]}")
