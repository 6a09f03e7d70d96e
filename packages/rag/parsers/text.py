"""Plain text in any encoding."""

import re
from itertools import pairwise

from packages.rag.documents import BlockKind, Document
from packages.rag.parsing import Outline, clean, decode, required

_LIST = re.compile(r"\s*(?:[-*•–]|\d{1,3}[.)])\s+\S")


class TextParser:
    """Paragraphs are what empty lines set apart; lines wrapped by an editor are joined again."""

    media_types = ("text/plain",)
    extensions = ("txt", "text", "log")

    def parse(self, data: bytes) -> Document:
        """The paragraphs in order, without headings."""
        outline = Outline()
        for paragraph in re.split(r"\n\s*\n", clean(decode(data))):
            lines = [line for line in paragraph.split("\n") if line.strip()]
            if any(_LIST.match(line) for line in lines):
                outline.add(BlockKind.LIST, "\n".join(lines))
            else:
                outline.add(BlockKind.PARAGRAPH, _joined(lines))
        return Document(blocks=required(outline.blocks, "text file"))


def _joined(lines: list[str]) -> str:
    """Lines that fill the width of the text flow on; a short line keeps its end."""
    if not lines:
        return ""
    width = max(len(line) for line in lines)
    text = lines[0]
    for before, line in pairwise(lines):
        text += (" " if len(before) > 0.7 * width and width <= 120 else "\n") + line
    return text


parser = TextParser()
