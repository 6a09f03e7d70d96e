"""What the styles and the numbering of a Word document make of a paragraph: heading, list item, code or text."""

import re
from dataclasses import dataclass

from lxml import etree

from packages.rag.xml_trees import attribute, local_name, parse_xml
from packages.rag.zip_files import ZipFile

WHAT = "Word document"
# Style names are stored in English whatever the program's language; ids are not.
_HEADING = re.compile(r"^heading (\d)$", re.IGNORECASE)
_CODE = re.compile(r"\b(?:code|html preformatted|source|listing|macro text)\b", re.IGNORECASE)
_DEEPEST = 9


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """`level` of a heading from 1, `mark` of a list item; both None in plain text."""

    level: int | None = None
    is_title: bool = False
    is_code: bool = False
    mark: str | None = None
    depth: int = 0


@dataclass(slots=True)
class _Style:
    name: str
    parent: str | None
    outline: int | None
    numbering: tuple[str, int] | None


class WordStyles:
    """Reads `styles.xml` and `numbering.xml`; counts numbered items, so ask once per paragraph, in order."""

    def __init__(self, package: ZipFile) -> None:
        self._styles: dict[str, _Style] = {}
        self._bullets: set[tuple[str, int]] = set()
        self._counts: dict[tuple[str, int], int] = {}
        if package.has("word/styles.xml"):
            self._read_styles(parse_xml(package.read("word/styles.xml"), WHAT))
        if package.has("word/numbering.xml"):
            self._read_numbering(parse_xml(package.read("word/numbering.xml"), WHAT))

    def of(self, paragraph: etree._Element) -> ParagraphStyle:
        """What a paragraph is."""
        properties = paragraph.find("{*}pPr")
        chain = self._chain(properties)
        own = _outline(properties)
        level = own if own is not None else next((style.outline for style in chain if style.outline is not None), None)
        names = [style.name for style in chain]
        numbering = _numbering(properties) or next((style.numbering for style in chain if style.numbering), None)
        if any(name.casefold() == "title" for name in names):
            return ParagraphStyle(level=1, is_title=True)
        if level is not None:
            return ParagraphStyle(level=level)
        if numbering and numbering[0] != "0":
            return ParagraphStyle(mark=self._mark(*numbering), depth=numbering[1])
        return ParagraphStyle(is_code=any(_CODE.search(name) for name in names))

    def _chain(self, properties: etree._Element | None) -> list[_Style]:
        """The paragraph's style and what it is based on."""
        reference = properties.find("{*}pStyle") if properties is not None else None
        current = attribute(reference, "val") if reference is not None else None
        chain: list[_Style] = []
        while current in self._styles and len(chain) < _DEEPEST:
            chain.append(self._styles[current])
            current = chain[-1].parent
        return chain

    def _mark(self, number_id: str, depth: int) -> str:
        if (number_id, depth) in self._bullets:
            return "-"
        for key in [key for key in self._counts if key[0] == number_id and key[1] > depth]:
            del self._counts[key]
        count = self._counts.get((number_id, depth), 0) + 1
        self._counts[number_id, depth] = count
        return f"{count}."

    def _read_styles(self, root: etree._Element) -> None:
        for style in root.findall("{*}style"):
            name = style.find("{*}name")
            parent = style.find("{*}basedOn")
            text = (attribute(name, "val") if name is not None else None) or ""
            heading = _HEADING.match(text)
            properties = style.find("{*}pPr")
            self._styles[attribute(style, "styleId") or ""] = _Style(
                text,
                attribute(parent, "val") if parent is not None else None,
                int(heading.group(1)) if heading else _outline(properties),
                _numbering(properties),
            )

    def _read_numbering(self, root: etree._Element) -> None:
        bullets: dict[str, set[int]] = {}
        for abstract in root.findall("{*}abstractNum"):
            levels = {
                int(attribute(level, "ilvl") or 0)
                for level in abstract.findall("{*}lvl")
                if any(local_name(kind) == "numFmt" and attribute(kind, "val") in {"bullet", "none"} for kind in level)
            }
            bullets[attribute(abstract, "abstractNumId") or ""] = levels
        for number in root.findall("{*}num"):
            reference = number.find("{*}abstractNumId")
            abstract_id = attribute(reference, "val") if reference is not None else None
            key = attribute(number, "numId") or ""
            self._bullets |= {(key, level) for level in bullets.get(abstract_id or "", set())}


def _outline(properties: etree._Element | None) -> int | None:
    """The heading level of an outline level; 9 means body text."""
    found = properties.find("{*}outlineLvl") if properties is not None else None
    value = attribute(found, "val") if found is not None else None
    return int(value) + 1 if value is not None and value.isdigit() and int(value) < _DEEPEST else None


def _numbering(properties: etree._Element | None) -> tuple[str, int] | None:
    found = properties.find("{*}numPr") if properties is not None else None
    if found is None:
        return None
    number, level = found.find("{*}numId"), found.find("{*}ilvl")
    if number is None:
        return None
    depth = (attribute(level, "val") if level is not None else None) or "0"
    return attribute(number, "val") or "0", min(int(depth), _DEEPEST) if depth.isdigit() else 0
