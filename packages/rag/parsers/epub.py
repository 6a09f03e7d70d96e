"""Electronic books: the chapters in the order of the spine. EPUB 2 and 3 (Open Container Format, OPF)."""

import posixpath
from urllib.parse import unquote

from lxml import etree

from packages.rag.documents import Document, UnreadableDocument
from packages.rag.html_blocks import add_tree, main_content, parse_html
from packages.rag.parsing import Outline, decode, one_line, required
from packages.rag.xml_trees import parse_xml
from packages.rag.zip_files import ZipFile

WHAT = "electronic book"
_PAGES = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}
# Fonts may be scrambled in a book that is otherwise open (IDPF font obfuscation).
_FONTS = (".otf", ".ttf", ".woff", ".woff2")


class EPUBParser:
    """The table of contents stays out; headings come from the chapters themselves."""

    media_types = ("application/epub+zip",)
    extensions = ("epub",)

    def parse(self, data: bytes) -> Document:
        """Blocks chapter by chapter; a chapter counts as a page."""
        package = ZipFile(data, WHAT)
        _refuse_protected(package)
        container = parse_xml(package.read("META-INF/container.xml"), WHAT)
        path = next((item.get("full-path") for item in container.iter("{*}rootfile")), None) or ""
        book = parse_xml(package.read(path), WHAT)
        outline = Outline()
        for number, name in enumerate(_spine(book, posixpath.dirname(path)), start=1):
            if package.has(name):
                outline.page = number
                add_tree(main_content(parse_html(decode(package.read(name), declared=True))), outline)
        return Document(
            blocks=required(outline.blocks, WHAT),
            title=_first(book, "title"),
            language=_first(book, "language"),
            page_count=outline.page,
        )


def _spine(book: etree._Element, folder: str) -> list[str]:
    """Names of the chapters' files."""
    items = {item.get("id"): item for item in book.iter("{*}item")}
    chosen = [items.get(reference.get("idref")) for reference in book.iter("{*}itemref")]
    return [
        posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))
        for item in chosen
        if item is not None and item.get("media-type") in _PAGES and "nav" not in (item.get("properties") or "").split()
    ]


def _first(book: etree._Element, name: str) -> str | None:
    """A field of the Dublin Core metadata."""
    found = next(book.iter(f"{{http://purl.org/dc/elements/1.1/}}{name}"), None)
    return one_line(found.text) or None if found is not None and found.text else None


def _refuse_protected(package: ZipFile) -> None:
    if not package.has("META-INF/encryption.xml"):
        return
    listed = parse_xml(package.read("META-INF/encryption.xml"), WHAT)
    files = [item.get("URI") or "" for item in listed.iter("{*}CipherReference")]
    if any(not file.casefold().endswith(_FONTS) for file in files):
        raise UnreadableDocument(
            "This electronic book is protected against copying. Upload an edition without that protection.",
            code="encrypted",
        )


parser = EPUBParser()
