"""OpenDocument texts, sheets and slides (OASIS ODF 1.3), read from their XML."""

from collections.abc import Iterator

from lxml import etree

from packages.rag.documents import BlockKind, Document
from packages.rag.parsing import Outline, clean, one_line, required
from packages.rag.sheet_values import is_default_name
from packages.rag.tables import add_rows, add_sheet
from packages.rag.xml_trees import attribute, local_name, parse_xml
from packages.rag.zip_files import ZipFile

WHAT = "OpenDocument file"
_MOST_REPEATS = 50
_BREAKS = {"line-break": "\n", "tab": "\t", "s": " "}
_SKIPPED = {"annotation", "tracked-changes", "notes", "forms", "sequence-decls", "table-of-content"}


class ODFParser:
    """Keeps headings, lists and tables; comments, deleted text and the table of contents stay out."""

    media_types = (
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.presentation",
    )
    extensions = ("odt", "ods", "odp", "ott")

    def parse(self, data: bytes) -> Document:
        """Blocks in order; a sheet or a slide counts as a page."""
        package = ZipFile(data, WHAT)
        outline = Outline()
        body = parse_xml(package.read("content.xml"), WHAT).find("{*}body")
        if body is not None:
            _walk(body, outline)
        return Document(blocks=required(outline.blocks, WHAT), title=_title(package) or outline.first_heading)


def _title(package: ZipFile) -> str | None:
    if not package.has("meta.xml"):
        return None
    found = next(parse_xml(package.read("meta.xml"), WHAT).iter("{http://purl.org/dc/elements/1.1/}title"), None)
    return one_line(found.text) or None if found is not None and found.text else None


def _walk(node: etree._Element, outline: Outline) -> None:
    for child in node:
        name = local_name(child)
        if name == "h":
            outline.heading(int(attribute(child, "outline-level") or 1), _text(child))
        elif name == "p":
            outline.add(BlockKind.PARAGRAPH, clean(_text(child)))
            _walk(child, outline)  # Text boxes hang on paragraphs.
        elif name == "list":
            outline.add(BlockKind.LIST, "\n".join(_items(child, 0)))
        elif name == "table":
            _table(child, outline, is_sheet=local_name(node) == "spreadsheet")
        elif name == "page":
            outline.page = (outline.page or 0) + 1
            outline.close_headings()
            _walk(child, outline)
        elif name and name not in _SKIPPED:
            _walk(child, outline)


def _text(node: etree._Element) -> str:
    """The text of a paragraph without that of boxes, notes and comments in it."""
    parts = [node.text or ""]
    for child in node:
        name = local_name(child)
        if name in _BREAKS:
            parts.append(_BREAKS[name])
        elif name in {
            "span",
            "a",
            "date",
            "time",
            "page-number",
            "sequence",
            "bookmark-ref",
            "text-input",
            "ruby-base",
        }:
            parts.append(_text(child))
        parts.append(child.tail or "")
    return "".join(parts)


def _items(node: etree._Element, depth: int) -> Iterator[str]:
    for item in node.iterchildren("{*}list-item", "{*}list-header"):
        for child in item:
            if local_name(child) in {"p", "h"} and (text := one_line(_text(child))):
                yield f"{'  ' * depth}- {text}"
            elif local_name(child) == "list":
                yield from _items(child, depth + 1)


def _table(table: etree._Element, outline: Outline, *, is_sheet: bool) -> None:
    rows = [
        cells
        for row in table.iter("{*}table-row")
        if next(row.iterancestors("{*}table")) is table
        for cells in [_cells(row)] * _repeats(row, "number-rows-repeated")
    ]
    if not is_sheet:
        add_rows(rows, outline)
        return
    outline.page = (outline.page or 0) + 1
    outline.close_headings()
    if not is_default_name(attribute(table, "name") or "Sheet1"):
        outline.heading(1, attribute(table, "name") or "")
    add_sheet(rows, outline)


def _cells(row: etree._Element) -> list[str]:
    """Texts of a row. Repeated empty cells to its right are how a sheet says that nothing follows."""
    texts: list[str] = []
    for cell in row.iterchildren("{*}table-cell", "{*}covered-table-cell"):
        text = "\n".join(one_line(_text(paragraph)) for paragraph in cell.iter("{*}p", "{*}h"))
        texts += [text] * _repeats(cell, "number-columns-repeated")
    return texts


def _repeats(element: etree._Element, name: str) -> int:
    value = attribute(element, name) or "1"
    return min(int(value), _MOST_REPEATS) if value.isdigit() else 1


parser = ODFParser()
