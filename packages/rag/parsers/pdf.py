"""PDF: text through textract and pdftotext where that binary is installed, else through pypdf.

pypdf always opens the file first, because it knows why one cannot be read. PDFium then tells which pages are scans
(their text is recognised), which may hold ruled tables (pdfplumber reads them) and which text no reader sees (it is
dropped).
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
from pypdfium2 import PdfiumError
from textract.exceptions import ShellError

from packages.rag.documents import Document, UnreadableDocument
from packages.rag.ocr import recognise
from packages.rag.page_layout import PageLayout
from packages.rag.parsing import one_line, required
from packages.rag.pdf_pages import SCAN_SHARE, PageLooks, PageViewer
from packages.rag.pdf_tables import FEWEST_PATHS, MOST_PATHS, find_tables, place_tables

MOST_PAGES = 5000
MOST_SCANS = 40
STAMP_LETTERS = 40
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
        viewer = _viewer(data)
        looks = [viewer.looks(index) for index in range(min(viewer.page_count, len(pages)))] if viewer else []
        notes: list[str] = []
        for index, look in enumerate(looks):
            pages[index] = _without_hidden(pages[index], look.hidden)
        if viewer:
            notes = _recognise(viewer, pages, looks)
        if not any(line for page in pages for line in page):
            raise UnreadableDocument(
                "No text was found in this PDF, neither as text nor by text recognition (OCR) in its pictures. "
                "Upload a clearer scan, or the document that it was printed from.",
                code="no_text",
            )
        ruled = [index for index, look in enumerate(looks) if FEWEST_PATHS <= look.paths <= MOST_PATHS and pages[index]]
        tables = find_tables(data, ruled)
        layout = PageLayout(pages, _bookmarks(reader))
        for index, lines in enumerate(pages):
            kept, placed = place_tables(lines, tables.get(index, ()))
            layout.add_page(index + 1, kept, placed)
        metadata = reader.metadata
        return Document(
            blocks=required(layout.outline.blocks, "PDF"),
            title=one_line(metadata.title) or None if metadata and metadata.title else None,
            page_count=len(pages),
            notes=tuple(notes),
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


def _viewer(data: bytes) -> PageViewer | None:
    """PDFium's view of the file; None where it refuses what pypdf reads."""
    try:
        return PageViewer(data)
    except PdfiumError:
        return None


def _without_hidden(lines: list[str], hidden: Sequence[str]) -> list[str]:
    for text in hidden:
        lines = [line.replace(one_line(text), "").strip() for line in lines]
    return lines


def _recognise(viewer: PageViewer, pages: list[list[str]], looks: Sequence[PageLooks]) -> list[str]:
    """Put recognised text in place of pages that are pictures; notes on those that were too many.

    Raises:
        UnreadableDocument: the whole document is a scan, and longer than can be recognised.
    """
    scans = [index for index, look in enumerate(looks) if _is_scan(pages[index], look)]
    others = any(line for index, page in enumerate(pages) if index not in set(scans) for line in page)
    if len(scans) > MOST_SCANS and not others:
        raise UnreadableDocument(
            f"This PDF is a scan of {len(scans)} pages; the text of at most {MOST_SCANS} can be recognised. "
            "Split it and upload the parts.",
            code="too_large",
        )
    for index in scans[:MOST_SCANS]:
        lines = [one_line(line) for line in recognise(viewer.picture(index))]
        if sum(map(len, lines)) > sum(map(len, pages[index])):
            pages[index] = lines
    if len(scans) > MOST_SCANS:
        return [f"The pictures on {len(scans) - MOST_SCANS} pages from page {scans[MOST_SCANS] + 1} on were not read."]
    return []


def _is_scan(lines: Sequence[str], look: PageLooks) -> bool:
    """A picture with no text over it but perhaps a stamp or a page number."""
    return look.picture_share > 0 and (
        not any(lines) or (look.picture_share >= SCAN_SHARE and sum(map(len, lines)) <= STAMP_LETTERS)
    )


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
