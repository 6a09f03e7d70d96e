"""The commands that others rely on: they exist, are documented, and CI runs the right one."""

import re
import subprocess

import pytest

from tests.architecture.tree import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
PUBLIC = ["run", "test", "check", "lint", "format", "setup", "load", "bench", "migrate", "test-torch"]


@pytest.mark.parametrize("target", PUBLIC)
def test_each_public_target_has_a_line_of_help(target: str) -> None:
    assert re.search(rf"^{target}:.* ## \w", MAKEFILE, re.MULTILINE)


def test_bare_make_lists_them() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {target} " in listed for target in PUBLIC)


def test_every_target_is_phony_or_a_file() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert targets == set(phony.group(1).split())


def test_a_python_that_is_too_old_is_refused_with_advice() -> None:
    fresh = ["make", "--dry-run", "--always-make", "PYTHON=", "setup"]
    planned = subprocess.run(fresh, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "Parley needs Python 3.11 or 3.12" in planned


@pytest.mark.parametrize("command", ["make run", "make test"])
def test_the_readme_begins_with_the_commands(command: str) -> None:
    assert command in (ROOT / "README.md").read_text()


def test_the_readme_names_the_gpl_dependencies() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "textract" in readme
    assert "GPL" in readme


def test_ci_runs_the_check() -> None:
    assert "make check" in (ROOT / ".ci/run").read_text()
