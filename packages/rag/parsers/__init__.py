"""What a parser is: one file per document format, found by `load()`.

A parser runs in a process of its own with limits on time and memory (`packages.rag.sandbox`), so it may be slow or
hungry, but it must not touch the network. Its library is imported in its file only.
"""

import sys
from typing import Protocol, runtime_checkable

from packages.core import plugins
from packages.rag.documents import Document


@runtime_checkable
class Parser(Protocol):
    """Reads one document format."""

    media_types: tuple[str, ...]
    """Media types without parameters, in lower case."""

    extensions: tuple[str, ...]
    """File name endings without the dot, in lower case; asked only where the media type says nothing."""

    def parse(self, data: bytes) -> Document:
        """The document's blocks in reading order.

        Hidden text, scripts and navigation stay out; nothing that a reader sees is left out.

        Raises:
            UnreadableDocument: broken, encrypted, empty or without text. The message names the reason and what to do.
        """
        ...


def load() -> dict[str, Parser]:
    """Every parser by its module's name."""
    return plugins.load(sys.modules[__name__], "parser", Parser)
