"""Rules that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, SOURCES, name, text_files

ENVIRONMENT = {
    "packages/rag/nursery.py": "gives the parsing processes an environment of their own",
    "services/local/engines.py": "hands the environment on to child processes",
    "services/local/schema.py": "hands the environment on to Alembic",
    "services/orchestrator/engine/guardrails.py": "guardrails-ai takes two of its settings from there alone",
}
EDGES = {
    "packages/core/db/direct.py": "rolls back, then raises on",
    "packages/core/http.py": "error handler and readiness checks",
    "packages/core/storage.py": "removes the unfinished file, then raises on",
    "services/channel_gateway/dispatch.py": "one send's edge",
    "services/channel_gateway/media.py": "download loop",
    "services/channel_gateway/sender.py": "sender loop",
    "services/channel_gateway/signals.py": "one signal's edge",
    "services/channel_gateway/webhooks.py": "error handler of its own routes",
    "services/channel_gateway/simulator/courier.py": "the simulator's delivery loop",
    "services/ingestion_worker/ingestion.py": "job runner",
    "services/ingestion_worker/jobs.py": "job runner",
    "services/orchestrator/app.py": "the last edge of the loops",
    "services/orchestrator/engine/guardrails.py": "one check's edge: what cannot be checked is withheld",
    "services/orchestrator/intake.py": "consumer loop",
    "services/orchestrator/turns.py": "turn runner",
}
HOMES = re.compile(r"(?<![\w.:/-])/(?:home|root|Users|work|mnt)/[\w.-]+")


def test_the_environment_is_read_by_the_settings_alone() -> None:
    readers = {
        name(file)
        for file in SOURCES
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers - ENVIRONMENT.keys() == set()


def test_everything_is_caught_at_the_edges_alone() -> None:
    catchers = {name(file) for file in SOURCES for _ in _broad_handlers(file)}
    assert catchers - EDGES.keys() == set()


def test_no_error_is_swallowed() -> None:
    silent = [
        f"{name(file)}:{handler.lineno}"
        for file in SOURCES
        for handler in _broad_handlers(file)
        if all(isinstance(statement, ast.Pass) for statement in handler.body)
    ]
    assert silent == []


@pytest.mark.parametrize("listed", [*ENVIRONMENT, *EDGES])
def test_the_exceptions_exist(listed: str) -> None:
    assert (ROOT / listed).is_file()


def test_commit_is_called_in_one_place() -> None:
    callers = {
        name(file)
        for file in SOURCES
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "commit"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "session"
    }
    assert callers == {"packages/core/db/session.py"}


def test_no_path_of_somebodys_machine() -> None:
    found = {
        f"{name(file)}: {match.group()}"
        for file in text_files()
        if file != Path(__file__)
        for match in HOMES.finditer(file.read_text(errors="replace"))
    }
    assert found == set()


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _broad_handlers(file: Path) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(_tree(file)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if any(
            kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"}) for kind in kinds
        ):
            yield node
