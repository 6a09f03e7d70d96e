"""JSON: questions with answers, rows of a table, or any other data as it is."""

import json
from typing import Any

from packages.rag.documents import BlockKind, Document, UnreadableDocument
from packages.rag.parsing import Outline, decode, required
from packages.rag.tables import add_rows

_ROOTS = ("faq", "faqs", "items", "data", "rows", "entries", "questions", "results")
_MOST_COLUMNS = 50


class JSONParser:
    """Lists of flat objects become tables, or pairs where their keys are those of a FAQ."""

    media_types = ("application/json", "text/json")
    extensions = ("json",)

    def parse(self, data: bytes) -> Document:
        """Blocks of the list that the file is, or holds under a usual name; else the whole as code."""
        try:
            content = json.loads(decode(data))
        except ValueError as error:
            raise UnreadableDocument(
                f"This is not valid JSON ({error}). Correct it and upload it again.", code="corrupt"
            ) from error
        outline = Outline()
        rows = _rows(content)
        if rows:
            add_rows(rows, outline)
        elif content not in ([], {}, "", None):
            outline.add(BlockKind.CODE, json.dumps(content, ensure_ascii=False, indent=1), language="json")
        return Document(blocks=required(outline.blocks, "JSON file"))


def _rows(content: Any) -> list[list[str]]:
    """The objects of a list as rows under their keys; [] if it holds anything but flat objects."""
    if isinstance(content, dict):
        content = next((content[name] for name in _ROOTS if isinstance(content.get(name), list)), None)
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        return []
    header = list(dict.fromkeys(str(key) for item in content for key in item))
    values = [value for item in content for value in item.values()]
    if not header or len(header) > _MOST_COLUMNS or any(isinstance(value, list | dict) for value in values):
        return []
    return [header, *([_shown(item.get(key)) for key in header] for item in content)]


def _shown(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


parser = JSONParser()
