"""Workbooks of Excel 97 to 2003; also the tables and web pages that some programs save under that name."""

import io
from collections.abc import Iterator

import xlrd
from xlrd.biffh import XL_CELL_BOOLEAN, XL_CELL_DATE, XL_CELL_EMPTY, XL_CELL_ERROR, XLRDError
from xlrd.compdoc import CompDocError
from xlrd.sheet import Sheet
from xlrd.xldate import XLDateError, xldate_as_datetime

from packages.rag.documents import Document, UnreadableDocument
from packages.rag.parsing import Outline, required
from packages.rag.sheet_values import MOST_CELLS, is_default_name, shown, too_many_cells
from packages.rag.tables import add_sheet

WHAT = "Excel workbook"


class XLSParser:
    """Hidden sheets stay out."""

    media_types = ("application/vnd.ms-excel",)
    extensions = ("xls", "xlt")

    def parse(self, data: bytes) -> Document:
        """As of a newer workbook: headings, FAQ pairs, tables."""
        try:
            book = xlrd.open_workbook(file_contents=data, logfile=io.StringIO(), on_demand=True)
        except (XLRDError, CompDocError, AssertionError, IndexError, ValueError) as error:
            code = "encrypted" if "encrypted" in str(error) else "corrupt"
            raise UnreadableDocument(
                f"This Excel workbook cannot be read ({error}). Save it as .xlsx without a password and upload that.",
                code=code,
            ) from error
        outline = Outline()
        for number in range(book.nsheets):
            sheet = book.sheet_by_index(number)
            if sheet.visibility:
                continue
            if sheet.nrows * sheet.ncols > MOST_CELLS:
                raise too_many_cells(WHAT)
            outline.page = number + 1
            if not is_default_name(sheet.name):
                outline.heading(1, sheet.name)
            add_sheet(list(_rows(sheet, book.datemode)), outline)
        return Document(blocks=required(outline.blocks, WHAT))


def _rows(sheet: Sheet, datemode: int) -> Iterator[list[str]]:
    for row in range(sheet.nrows):
        yield [
            _text(kind, value, datemode)
            for kind, value in zip(sheet.row_types(row), sheet.row_values(row), strict=True)
        ]


def _text(kind: int, value: object, datemode: int) -> str:
    if kind in {XL_CELL_EMPTY, XL_CELL_ERROR}:
        return ""
    if kind == XL_CELL_BOOLEAN:
        return shown(bool(value))
    if kind == XL_CELL_DATE and isinstance(value, float):
        try:
            return shown(xldate_as_datetime(value, datemode))
        except (XLDateError, OverflowError, ValueError):
            return shown(value)
    return shown(int(value) if isinstance(value, float) and value.is_integer() else value)


parser = XLSParser()
