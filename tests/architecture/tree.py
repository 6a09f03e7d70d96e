"""The files of the repository that rules are checked on."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    file
    for folder in ("packages", "services")
    for file in (ROOT / folder).rglob("*.py")
    if "versions" not in file.parts
)


def name(file: Path) -> str:
    """The path of a file, from the root."""
    return file.relative_to(ROOT).as_posix()


def text_files() -> list[Path]:
    """Files that git knows or would add, and that hold text of ours."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    ours = re.compile(r"\.(py|md|sh|toml|ini|cfg|ya?ml|js|html|css|example)$|^(Makefile|\.ci/.*|scripts/.*|\.[a-z]+)$")
    return [ROOT / file for file in listed if ours.search(file) and (ROOT / file).is_file()]
