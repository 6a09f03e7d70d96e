"""Workbooks (OOXML): the values that a reader sees, sheet by sheet, and of formulas their results."""

import io
import re
import zipfile
from collections.abc import Iterator
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.cell.cell import Cell
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.workbook.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from packages.rag.documents import Document, UnreadableDocument
from packages.rag.office import core_title
from packages.rag.parsing import Outline, required
from packages.rag.sheet_values import MOST_CELLS, is_default_name, shown, too_many_cells
from packages.rag.tables import add_sheet
from packages.rag.zip_files import MB, ZipFile

WHAT = "Excel workbook"
_LARGEST_SHEETS = 60 * MB
_LONGEST_MERGE = 1000
# A formula without the result that Excel keeps beside it: the file comes from a program that does not calculate.
_NOT_CALCULATED = re.compile(rb"</f>\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>")


class XLSXParser:
    """Hidden sheets stay out; a cell merged over several rows counts for each of them."""

    media_types = (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.ms-excel.sheet.macroenabled.12",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
    )
    extensions = ("xlsx", "xlsm", "xltx")

    def parse(self, data: bytes) -> Document:
        """A heading per named sheet; FAQ pairs, tables and lone cells below it. A sheet counts as a page."""
        package = ZipFile(data, WHAT)
        package.check()
        sheets = [name for name in package.names if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        if sum(package.size(name) for name in sheets) > _LARGEST_SHEETS:
            raise too_many_cells(WHAT)
        book = _open(data, values=True)
        notes: tuple[str, ...] = ()
        formulas: Workbook | None = None
        if any(_NOT_CALCULATED.search(package.read(name)) for name in sheets):
            formulas = _open(data, values=False)
            notes = ("Some formulas have no results; open the workbook in Excel, save it and upload it again.",)
        outline = Outline()
        for number, sheet in enumerate(book.worksheets, start=1):
            if sheet.sheet_state == "visible":
                outline.page = number
                if not is_default_name(sheet.title):
                    outline.heading(1, sheet.title)
                add_sheet(_rows(sheet, formulas[sheet.title] if formulas else None), outline)
        return Document(blocks=required(outline.blocks, WHAT), title=core_title(package), notes=notes)


def _open(data: bytes, *, values: bool) -> Workbook:
    try:
        return openpyxl.load_workbook(io.BytesIO(data), data_only=values, rich_text=False)
    except (
        InvalidFileException,
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        TypeError,
        ParseError,
        SyntaxError,
    ) as error:
        raise UnreadableDocument(
            f"This Excel workbook is damaged ({error}). Open it, save it again and upload the copy.", code="corrupt"
        ) from error


def _rows(sheet: Worksheet, formulas: Worksheet | None) -> list[list[str]]:
    """Cell texts; the formula itself stands in for a result that is missing."""
    cells = {(cell.row, cell.column): shown(cell.value, cell.number_format) for cell in _cells(sheet)}
    if len(cells) > MOST_CELLS:
        raise too_many_cells(WHAT)
    if formulas is not None:
        for cell in _cells(formulas):
            if isinstance(cell.value, str) and cell.value.startswith("=") and not cells.get((cell.row, cell.column)):
                cells[cell.row, cell.column] = cell.value
    for merged in sheet.merged_cells.ranges:
        text = cells.get((merged.min_row, merged.min_col), "")
        for row in range(merged.min_row + 1, min(merged.max_row, merged.min_row + _LONGEST_MERGE) + 1):
            if text and merged.min_col == merged.max_col:
                cells[row, merged.min_col] = text
    filled = [place for place, text in cells.items() if text]
    if not filled:
        return []
    columns = sorted({column for _, column in filled})
    left, right = columns[0], columns[-1]
    last = max(row for row, _ in filled)
    return [[cells.get((row, column), "") for column in range(left, right + 1)] for row in range(1, last + 1)]


def _cells(sheet: Worksheet) -> Iterator[Cell]:
    """Cells that hold something, whatever range the file claims to use."""
    for cell in sheet._cells.values():
        if isinstance(cell, Cell) and cell.value is not None:
            yield cell


parser = XLSXParser()
