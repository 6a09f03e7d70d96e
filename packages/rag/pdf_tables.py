"""Ruled tables on PDF pages, found by pdfplumber, and their place among the lines of the page's text."""

import io
import re
import time
from collections.abc import Mapping, Sequence

import pdfplumber
from pdfminer.pdfparser import PDFSyntaxError
from pdfminer.psexceptions import PSException
from pdfplumber.utils.exceptions import MalformedPDFException, PdfminerException

from packages.rag.page_layout import table_mark
from packages.rag.parsing import one_line

FEWEST_PATHS = 4
MOST_PATHS = 4000
_SECONDS = 30.0
_MOST_PAGES = 300
_FOUND_SHARE = 0.6
_FILLED_SHARE = 0.4

Table = list[list[str]]


def find_tables(data: bytes, pages: Sequence[int]) -> dict[int, list[Table]]:
    """Tables of the pages named (from 0), by page. What cannot be read as a table stays what it is: text.

    Stops after some seconds, because a table lost to text is better than a document lost to its drawings.
    """
    found: dict[int, list[Table]] = {}
    if not pages:
        return found
    started = time.process_time()
    try:
        with pdfplumber.open(io.BytesIO(data), pages=[index + 1 for index in pages[:_MOST_PAGES]]) as file:
            for page in file.pages:
                if time.process_time() - started > _SECONDS:
                    break
                tables = [_cells(table.extract()) for table in page.find_tables()]
                found[page.page_number - 1] = [table for table in tables if _is_table(table)]
                page.close()
    except (MalformedPDFException, PdfminerException, PSException, PDFSyntaxError, ValueError, KeyError, TypeError):
        return found  # pdfminer is stricter than the readers of the text, which stays complete.
    return found


def place_tables(lines: Sequence[str], tables: Sequence[Table]) -> tuple[list[str], Mapping[str, Table]]:
    """The lines with a mark in place of each table's own, and the table of each mark.

    A table whose text is not found in one run of lines is left out, so that nothing is said twice.
    """
    kept = list(lines)
    placed: dict[str, Table] = {}
    for number, table in enumerate(tables):
        run = _run(kept, table)
        if run is not None:
            mark = table_mark(number)
            placed[mark] = table
            kept[run[0] : run[1]] = ["", mark, ""]
    return kept, placed


def _cells(rows: list[list[str | None]]) -> Table:
    return [[one_line(cell or "") for cell in row] for row in rows if any(cell and cell.strip() for cell in row)]


def _is_table(table: Table) -> bool:
    """Rather than a frame around text: two rows and columns at least, and not mostly empty."""
    if len(table) < 2 or max(len(row) for row in table) < 2:
        return False
    filled = [[bool(cell) for cell in row] for row in table]
    several = sum(sum(row) > 1 for row in filled)
    return several >= 2 and sum(map(sum, filled)) >= _FILLED_SHARE * sum(map(len, filled))


def _run(lines: Sequence[str], table: Table) -> tuple[int, int] | None:
    """Where the table's text stands: the run of lines that are all made of it, if it holds most of it."""
    by_rows = _squashed("".join(cell for row in table for cell in row))
    width = max(len(row) for row in table)
    by_columns = _squashed("".join(row[column] for column in range(width) for row in table if column < len(row)))
    best: tuple[int, int] | None = None
    most = 0
    start: int | None = None
    size = 0
    for index, line in enumerate([*lines, "\ufffc"]):
        text = _squashed(line)
        if not text:
            continue
        if text in by_rows or text in by_columns:
            start = index if start is None else start
            size += len(text)
            if size > most:
                best, most = (start, index + 1), size
        else:
            start, size = None, 0
    return best if most >= _FOUND_SHARE * len(by_rows) else None


def _squashed(text: str) -> str:
    return re.sub(r"\s+", "", text)
