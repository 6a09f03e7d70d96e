"""Source code: one block per definition at the top level, or per run of small ones."""

import re

from packages.rag.documents import BlockKind, Document, UnreadableDocument
from packages.rag.file_types import LANGUAGES
from packages.rag.parsing import Outline, decode, required

_LONGEST_LINE = 5000
_ENOUGH = 600
# A new unit begins in the first column after an empty line; closing brackets and `else` belong to what is above.
_UNIT = re.compile(r"\n[ \t]*\n(?=[^\s})\]#/*]|[#/*@])")


class CodeParser:
    """The parsing process names the language by the file's name; the text stays as it is."""

    media_types = ("text/x-python", "text/javascript", "application/javascript", "text/x-c", "text/x-java", "text/css")
    extensions = tuple(sorted(LANGUAGES))

    def parse(self, data: bytes) -> Document:
        """Code blocks in order, without headings."""
        source = decode(data).replace("\r\n", "\n").expandtabs(4)
        if max((len(line) for line in source.split("\n")), default=0) > _LONGEST_LINE:
            raise UnreadableDocument(
                "This file is generated or packed code, without readable lines. Upload its source.", code="generated"
            )
        outline = Outline()
        unit = ""
        for part in _UNIT.split(source):
            if unit and len(unit) + len(part) > _ENOUGH:
                outline.add(BlockKind.CODE, unit)
                unit = ""
            unit = f"{unit}\n\n{part}" if unit else part
        outline.add(BlockKind.CODE, unit)
        return Document(blocks=required(outline.blocks, "source file"))


parser = CodeParser()
