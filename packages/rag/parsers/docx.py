"""Word documents (OOXML, transitional and strict), read from their XML.

Read without a library, because the known ones fail on strict files and leave out text boxes, and textract's loses
headings, lists and tables. Names of elements: ECMA-376, part 1, chapter 17.
"""

from collections.abc import Iterator

from lxml import etree

from packages.rag.documents import BlockKind, Document
from packages.rag.office import core_title
from packages.rag.parsing import Outline, clean, one_line, required
from packages.rag.tables import add_rows
from packages.rag.word_styles import WordStyles
from packages.rag.xml_trees import attribute, local_name, parse_xml
from packages.rag.zip_files import ZipFile

WHAT = "Word document"
_MAIN = "word/document.xml"
# Deleted and moved text, field codes, the second copy of a drawing for old programs, and what only a program reads.
_SKIPPED = {"del", "moveFrom", "instrText", "delText", "Fallback", "pPr", "rPr", "tblPr", "sectPr", "commentReference"}
_MOST_COLUMNS = 100
_BREAKS = {"br": "\n", "cr": "\n", "tab": "\t", "noBreakHyphen": "-"}


class DOCXParser:
    """Keeps headings, lists, tables, text boxes and footnotes; comments, headers and footers stay out."""

    media_types = (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.ms-word.document.macroenabled.12",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
    )
    extensions = ("docx", "docm", "dotx")

    def parse(self, data: bytes) -> Document:
        """Blocks in the order of the text; a text box follows the paragraph that it hangs on."""
        package = ZipFile(data, WHAT)
        reader = _Reader(WordStyles(package), _notes(package))
        reader.walk(parse_xml(package.read(_MAIN), WHAT))
        return Document(
            blocks=required(reader.outline.blocks, WHAT),
            title=core_title(package) or reader.title or reader.outline.first_heading,
        )


class _Reader:
    """Walks the elements of a body."""

    def __init__(self, styles: WordStyles, notes: dict[str, etree._Element]) -> None:
        self.outline = Outline()
        self.styles = styles
        self.title: str | None = None
        self._notes = notes
        self._items: list[str] = []
        self._later: list[etree._Element] = []

    def walk(self, node: etree._Element) -> None:
        """Add the blocks below a node."""
        self._blocks(node)
        self._end_list()

    def _blocks(self, node: etree._Element) -> None:
        for child in node:
            name = local_name(child)
            if name == "p":
                self._paragraph(child)
            elif name == "tbl":
                self._end_list()
                self._table(child)
            elif name and name not in _SKIPPED:
                self._blocks(child)

    def _paragraph(self, node: etree._Element) -> None:
        boxes: list[etree._Element] = []
        text = clean("".join(_runs(node, boxes, self._later)))
        if text:
            self._text(node, text)
        for box in boxes:
            self._end_list()
            if local_name(box) == "docPr":
                self.outline.add(BlockKind.IMAGE, one_line(attribute(box, "descr") or ""))
            else:
                self.walk(box)
        self._footnotes()

    def _text(self, node: etree._Element, text: str) -> None:
        style = self.styles.of(node)
        if style.level is not None:
            self._end_list()
            if style.is_title and self.title is None:
                self.title = one_line(text)
            self.outline.heading(style.level, text)
        elif style.mark is not None:
            self._items.append(f"{'  ' * style.depth}{style.mark} {one_line(text)}")
        elif style.is_code:
            self._end_list()
            self.outline.add(BlockKind.CODE, text)
        else:
            self._end_list()
            self.outline.add(BlockKind.PARAGRAPH, text)

    def _footnotes(self) -> None:
        """What notes of this paragraph say, right below it."""
        references, self._later = self._later, []
        for reference in references:
            note = self._notes.get(f"{local_name(reference)}:{attribute(reference, 'id')}")
            if note is not None:
                self._end_list()
                self._blocks(note)

    def _end_list(self) -> None:
        items, self._items = self._items, []
        self.outline.add(BlockKind.LIST, "\n".join(items))

    def _table(self, table: etree._Element) -> None:
        rows = list(_children(table, "tr"))
        cells = [list(_children(row, "tc")) for row in rows]
        if max((len(row) for row in cells), default=0) < 2:
            for row in cells:
                for cell in row:
                    self.walk(cell)
            return
        add_rows(list(_grid(rows, cells)), self.outline)
        for picture in table.iter("{*}docPr"):
            self.outline.add(BlockKind.IMAGE, one_line(attribute(picture, "descr") or ""))


def _runs(node: etree._Element, boxes: list[etree._Element], notes: list[etree._Element]) -> Iterator[str]:
    """The text of a paragraph's runs; puts aside its text boxes, described pictures and references to notes."""
    for child in node:
        name = local_name(child)
        if name == "t":
            yield child.text or ""
        elif name in _BREAKS:
            yield _BREAKS[name]
        elif name in {"txbxContent", "docPr"}:
            boxes.append(child)
        elif name in {"footnoteReference", "endnoteReference"}:
            notes.append(child)
        elif name and name not in _SKIPPED and not (name == "r" and _is_hidden(child)):
            yield from _runs(child, boxes, notes)


def _is_hidden(run: etree._Element) -> bool:
    mark = run.find("{*}rPr/{*}vanish")
    return mark is not None and attribute(mark, "val") not in {"0", "false", "off"}


def _children(node: etree._Element, name: str) -> Iterator[etree._Element]:
    """Children of a name, also where a content control or a custom element stands around them."""
    for child in node:
        found = local_name(child)
        if found == name:
            yield child
        elif found in {"sdt", "sdtContent", "customXml", "ins"}:
            yield from _children(child, name)


def _grid(rows: list[etree._Element], cells: list[list[etree._Element]]) -> Iterator[list[str]]:
    """Texts of the cells. A cell over several rows is repeated in each, so that a row makes sense alone."""
    above: dict[int, str] = {}
    for row, inside in zip(rows, cells, strict=True):
        texts = [""] * _number(row.find("{*}trPr/{*}gridBefore"), 0)
        for cell in inside:
            merge = cell.find("{*}tcPr/{*}vMerge")
            goes_on = merge is not None and attribute(merge, "val") != "restart"
            text = above.get(len(texts), "") if goes_on else _cell_text(cell)
            above[len(texts)] = text
            texts += [text, *[""] * (_number(cell.find("{*}tcPr/{*}gridSpan"), 1) - 1)]
        yield texts


def _number(element: etree._Element | None, default: int) -> int:
    value = attribute(element, "val") if element is not None else None
    return min(int(value), _MOST_COLUMNS) if value and value.isdigit() else default


def _cell_text(cell: etree._Element) -> str:
    """Paragraphs of a cell, and the cells of tables in it, one after the other."""
    lines = []
    for paragraph in cell.iter("{*}p"):
        if any(local_name(parent) in {"Fallback", "txbxContent"} for parent in paragraph.iterancestors()):
            continue
        boxes: list[etree._Element] = []
        text = one_line("".join(_runs(paragraph, boxes, [])))
        lines += [text, *(one_line("".join(box.itertext("{*}t"))) for box in boxes if local_name(box) != "docPr")]
    return "\n".join(line for line in lines if line)


def _notes(package: ZipFile) -> dict[str, etree._Element]:
    """Footnotes and endnotes by the reference that leads to them."""
    found: dict[str, etree._Element] = {}
    for name in ("footnote", "endnote"):
        path = f"word/{name}s.xml"
        if not package.has(path):
            continue
        for note in parse_xml(package.read(path), WHAT).iter(f"{{*}}{name}"):
            if attribute(note, "type") in {None, "normal"}:
                found[f"{name}Reference:{attribute(note, 'id')}"] = note
    return found


parser = DOCXParser()
