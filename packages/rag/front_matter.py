"""The YAML at the top of a Markdown page: its title, its language, and what text authors keep there."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

_FENCED = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_LONGEST = 200_000
_QUESTION_KEYS = ("question", "title", "q", "name")
_ANSWER_KEYS = ("answer", "content", "a", "text")
_DEEPEST = 8
Pair = tuple[str, str]


class _PlainLoader(yaml.SafeLoader):
    """YAML without references, by which few lines could stand for millions."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As the library does it, but for aliases."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("references are not read")
        return super().compose_node(parent, index)


def split(source: str) -> tuple[Mapping[str, Any], str]:
    """The fields, and the page below them. Fields that cannot be read count as none; they are never text."""
    found = _FENCED.match(source[:_LONGEST])
    if found is None:
        return {}, source
    try:
        fields = yaml.load(found.group(1), _PlainLoader)  # noqa: S506 - a safe loader, made safer
    except (yaml.YAMLError, ValueError, RecursionError):
        fields = _simple_fields(found.group(1))
    return (fields if isinstance(fields, dict) else {}), source[found.end() :]


def text_field(fields: Mapping[str, Any], *names: str) -> str | None:
    """The first of the named fields that holds text."""
    return next((value.strip() for name in names if isinstance(value := fields.get(name), str) and value.strip()), None)


def lists(fields: Mapping[str, Any]) -> dict[str, str]:
    """Lists of plain texts by name, as Markdown lists: pages show them by a template tag."""
    return {
        str(name): "\n".join(f"- {item}" for item in value)
        for name, value in fields.items()
        if isinstance(value, list) and value and all(isinstance(item, str | int | float) for item in value)
    }


def pairs(value: object, depth: int = 0) -> Iterator[Pair]:
    """Questions with their answers, wherever they stand: entries that have both, as Markdown."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for item in value:
            yield from pairs(item, depth + 1)
    elif isinstance(value, dict):
        asked, said = text_field(value, *_QUESTION_KEYS), text_field(value, *_ANSWER_KEYS)
        if depth and asked and said:
            yield asked, said
        else:
            for item in value.values():
                yield from pairs(item, depth + 1)


def _simple_fields(text: str) -> dict[str, str]:
    """`name: value` lines of front matter that is not valid YAML, which site builders often forgive."""
    found = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.isidentifier():
            found[name] = value.strip().strip("'\"")
    return found
