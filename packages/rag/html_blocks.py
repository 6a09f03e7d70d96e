"""HTML to blocks: what a reader sees of the main content, without scripts, navigation and hidden elements."""

import re
import warnings
from collections.abc import Iterator

from bs4 import BeautifulSoup, Comment, Tag, XMLParsedAsHTMLWarning
from bs4.element import NavigableString, PageElement, PreformattedString

from packages.rag.documents import BlockKind
from packages.rag.parsing import Outline, clean, one_line, pipe_table

# A web page with an XML declaration is still read as the web page that a browser would show.
warnings.filterwarnings("ignore", category=XMLParsedAsHTMLWarning)

_NEVER_SHOWN = ["script", "style", "noscript", "template", "svg", "canvas", "iframe", "object", "head", "math"]
_AROUND = ["nav", "aside", "footer", "dialog"]
_ROLES = {"navigation", "banner", "contentinfo", "search", "complementary", "dialog"}
_HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)|font-size\s*:\s*0", re.IGNORECASE
)
_BLOCK_NAMES = """
address article blockquote body caption center dd details div dl dt fieldset figcaption figure footer form h1 h2
h3 h4 h5 h6 header hr html legend li listing main ol p pre section summary table ul xmp
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
MUCH_TEXT = 200
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CODE = {"pre", "listing", "xmp"}


def parse_html(source: str) -> BeautifulSoup:
    """The tree of a page or of a piece of one."""
    return BeautifulSoup(source, "lxml")


def html_text(source: str) -> str:
    """The text of a piece of HTML, on one line."""
    return one_line(parse_html(source).get_text()) if "<" in source or "&" in source else source


def add_html(source: str, outline: Outline) -> None:
    """Add the visible blocks of a piece of HTML that stands inside another document."""
    add_tree(parse_html(source), outline)


def add_tree(root: Tag, outline: Outline) -> None:
    """Add the visible blocks below `root`; removes from the tree what is not visible."""
    for tag in root(_NEVER_SHOWN):
        tag.decompose()
    for comment in root.find_all(string=lambda text: isinstance(text, (Comment, PreformattedString))):
        comment.extract()
    for tag in [tag for tag in root(True) if _is_hidden(tag)]:
        if not tag.decomposed:
            tag.decompose()
    _walk(root, outline)


def main_content(soup: BeautifulSoup) -> Tag:
    """The part of a page that is its content: <main>, a lone <article>, or the body without what stands around it."""
    body = soup.body or soup
    main = soup.find("main") or soup.select_one('[role="main"]')
    articles = soup.find_all("article")
    if not isinstance(main, Tag) and len(articles) == 1:
        main = articles[0]
    chosen = main if isinstance(main, Tag) and len(main.get_text(strip=True)) >= 40 else body
    removable = [tag for tag in chosen(True) if tag.name in _AROUND or tag.get("role") in _ROLES]
    text = len(chosen.get_text(strip=True))
    around = sum(
        len(tag.get_text(strip=True)) for tag in removable if not any(parent in removable for parent in tag.parents)
    )
    # A page that is little but navigation (an index of links) is its own content.
    if text - around >= min(MUCH_TEXT, text / 2):
        for tag in removable:
            if not tag.decomposed:
                tag.decompose()
    return chosen


def _is_hidden(tag: Tag) -> bool:
    if tag.decomposed or tag.attrs is None:
        return False
    if tag.name == "input" or tag.has_attr("hidden") or tag.get("aria-hidden") == "true":
        return True
    return bool(_HIDDEN_STYLE.search(str(tag.get("style") or "")))


def _walk(node: Tag, outline: Outline) -> None:
    """Blocks in reading order; inline content between blocks is gathered into paragraphs."""
    inline: list[str] = []

    def flush() -> None:
        outline.add(BlockKind.PARAGRAPH, clean("".join(inline)))
        inline.clear()

    for child in node.children:
        if isinstance(child, NavigableString):
            inline.append(re.sub(r"\s+", " ", str(child)))
        elif isinstance(child, Tag) and (child.name in _BLOCKS or _holds_block(child)):
            flush()
            _block(child, outline)
        elif isinstance(child, Tag):
            inline.append(_inline(child))
    flush()


def _holds_block(tag: Tag) -> bool:
    return tag.find(list(_BLOCKS)) is not None


def _block(tag: Tag, outline: Outline) -> None:
    if tag.name in _HEADINGS:
        outline.heading(_HEADINGS[tag.name], tag.get_text(" "))
    elif tag.name in {"ul", "ol"}:
        outline.add(BlockKind.LIST, "\n".join(_items(tag, 0)))
    elif tag.name in _CODE:
        outline.add(BlockKind.CODE, tag.get_text())
    elif tag.name == "table":
        _table(tag, outline)
    elif tag.name == "dl":
        _definitions(tag, outline)
    else:
        _walk(tag, outline)


def _inline(node: PageElement) -> str:
    if isinstance(node, NavigableString):
        return re.sub(r"\s+", " ", str(node))
    if not isinstance(node, Tag):
        return ""
    if node.name == "br":
        return "\n"
    if node.name == "img":
        return str(node.get("alt") or "")
    return "".join(_inline(child) for child in node.children)


def _items(tag: Tag, depth: int) -> Iterator[str]:
    for number, item in enumerate(tag.find_all("li", recursive=False), start=1):
        nested = [part.extract() for part in item.find_all(["ul", "ol"]) if part.find_parent("li") is item]
        text = one_line(item.get_text(" "))
        mark = f"{number}." if tag.name == "ol" else "-"
        if text:
            yield f"{'  ' * depth}{mark} {text}"
        for part in nested:
            yield from _items(part, depth + 1)


def _table(tag: Tag, outline: Outline) -> None:
    """A data table as rows of cells; a table that only lays out a page as the blocks in it."""
    caption = tag.find("caption")
    if caption:
        outline.add(BlockKind.PARAGRAPH, one_line(caption.get_text(" ")))
    rows = [row for row in tag.find_all("tr") if row.find_parent("table") is tag]
    cells = [row.find_all(["td", "th"], recursive=False) for row in rows]
    is_layout = tag.find("table") is not None or max((len(row) for row in cells), default=0) < 2
    if is_layout:
        for row in cells:
            for cell in row:
                _walk(cell, outline)
        return
    outline.add(BlockKind.TABLE, pipe_table([[cell.get_text(" ") for cell in row] for row in cells]))


def _definitions(tag: Tag, outline: Outline) -> None:
    """Terms with their definitions, one line per pair."""
    lines: list[str] = []
    for part in tag.find_all(["dt", "dd"]):
        text = one_line(part.get_text(" "))
        if part.name == "dd" and lines:
            lines[-1] = f"{lines[-1]}: {text}" if not lines[-1].endswith((":", "?")) else f"{lines[-1]} {text}"
        elif text:
            lines.append(text)
    outline.add(BlockKind.LIST, "\n".join(f"- {line}" for line in lines))
