"""PDF: text through textract and pdftotext where that binary is installed, else through pypdf.

pypdf always opens the file first, because it knows why one cannot be read.
"""

import io
import logging
import re
import shutil
import tempfile
from collections.abc import Sequence
from typing import Any

import pypdf
import textract
from pypdf.errors import FileNotDecryptedError, PyPdfError
from pypdf.generic import Destination
from textract.exceptions import ShellError

from packages.rag.documents import Document, UnreadableDocument
from packages.rag.page_layout import PageLayout
from packages.rag.parsing import one_line, required

MOST_PAGES = 5000
_HEADER_WITHIN = 1024
_FORM_FEED = "\f"
# pdftotext writes what reads from right to left in the order of the page and marks it; pypdf keeps the spoken order.
_RIGHT_TO_LEFT = re.compile("[\u202a-\u202e\u2066-\u2069]")

# pypdf warns of every oddity that it mended; the parsing process has nobody to tell.
logging.getLogger("pypdf").setLevel(logging.ERROR)


class PDFParser:
    """Keeps the page number of each block."""

    media_types = ("application/pdf", "application/x-pdf")
    extensions = ("pdf",)

    def parse(self, data: bytes) -> Document:
        """Blocks of each page in its own reading order; headings by the bookmarks, else by their looks."""
        reader = _open(data)
        pages = [_lines(text) for text in _texts(data, reader)]
        if not any(line for page in pages for line in page):
            raise UnreadableDocument(
                "This PDF has no text, only pictures of pages: it is probably a scan. "
                "Run text recognition (OCR) on it, or upload the document that it was printed from.",
                code="no_text",
            )
        layout = PageLayout(pages, _bookmarks(reader))
        for number, lines in enumerate(pages, start=1):
            layout.add_page(number, lines)
        metadata = reader.metadata
        return Document(
            blocks=required(layout.outline.blocks, "PDF"),
            title=one_line(metadata.title) or None if metadata and metadata.title else None,
            page_count=len(pages),
        )


def _open(data: bytes) -> pypdf.PdfReader:
    if not data.strip():
        raise UnreadableDocument("This file is empty. Upload the PDF again.", code="empty")
    if b"%PDF-" not in data[:_HEADER_WITHIN]:
        raise UnreadableDocument(
            "This file is named or sent as a PDF but is none. Upload it under its right type.", code="wrong_type"
        )
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        count = len(reader.pages)
    except FileNotDecryptedError:
        raise UnreadableDocument(
            "This PDF is protected by a password. Save it without one and upload it again.", code="encrypted"
        ) from None
    except PyPdfError as error:
        raise UnreadableDocument(
            f"This PDF is damaged or incomplete ({error}). Open it, save it again and upload the copy.", code="corrupt"
        ) from error
    if count == 0:
        raise UnreadableDocument("This PDF has no pages. Upload one with pages.", code="empty")
    if count > MOST_PAGES:
        raise UnreadableDocument(
            f"This PDF has {count} pages; at most {MOST_PAGES} can be read. Split it and upload the parts.",
            code="too_large",
        )
    return reader


def _texts(data: bytes, reader: pypdf.PdfReader) -> list[str]:
    """The text of each page."""
    if shutil.which("pdftotext"):
        pages = _by_pdftotext(data)
        if pages is not None and not any(_RIGHT_TO_LEFT.search(page) for page in pages):
            return pages
    try:
        return [page.extract_text() for page in reader.pages]
    except PyPdfError as error:
        raise UnreadableDocument(
            f"A page of this PDF is damaged ({error}). Open it, save it again and upload the copy.", code="corrupt"
        ) from error


def _by_pdftotext(data: bytes) -> list[str] | None:
    """Pages as pdftotext reads them, which ends each with a form feed; None if it fails where pypdf did not."""
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(data)
        file.flush()
        try:
            output: bytes = textract.process(file.name, method="pdftotext", extension="pdf")
        except ShellError:
            return None
    return output.decode("utf-8", errors="replace").removesuffix(_FORM_FEED).split(_FORM_FEED)


def _lines(text: str) -> list[str]:
    return [one_line(line) for line in text.replace(_FORM_FEED, "\n").split("\n")]


def _bookmarks(reader: pypdf.PdfReader) -> dict[str, int]:
    """Heading texts in lower case with their level; empty where the file names none, or names them wrongly."""
    found: dict[str, int] = {}
    try:
        _collect(reader.outline, 1, found)
    except PyPdfError:
        return {}
    return found


def _collect(items: Sequence[Any], level: int, found: dict[str, int]) -> None:
    for item in items:
        if isinstance(item, list):
            _collect(item, level + 1, found)
        elif isinstance(item, Destination) and item.title:
            found.setdefault(one_line(str(item.title)).casefold(), level)


parser = PDFParser()
