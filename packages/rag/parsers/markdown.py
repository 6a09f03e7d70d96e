"""Markdown (CommonMark with tables), with front matter, template tags and HTML inside."""

import re
import textwrap
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from packages.rag.documents import BlockKind, Document
from packages.rag.html_blocks import add_html, html_text
from packages.rag.parsing import Outline, clean, decode, one_line, pipe_table, required
from packages.rag.tables import add_pair

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_LANGUAGE = re.compile(r"^lang(?:uage)?:[ \t]*['\"]?([A-Za-z]{2}(?:[-_][A-Za-z]+)?)['\"]?[ \t]*$", re.MULTILINE)
# Liquid, Jinja and Hugo tags, and the attribute lists of kramdown: instructions to a site builder, not text.
_TEMPLATE = re.compile(r"\{%-?.*?-?%\}|\{\{.*?\}\}|\{:[^}\n]*\}", re.DOTALL)
_FRONT_LIST = re.compile(
    r"^(\w+):[ \t]*\n((?:[ \t]+-[ \t]+[^\n:]*(?::(?!\s)[^\n:]*)*\n|[ \t]+-[ \t]+[\"'][^\n]*\n)+)", re.MULTILINE
)
_PAGE_VALUE = re.compile(r"\bpage\.(\w+)")
QUOTES = "\"'"
_PAIR = re.compile(
    r"^([ \t]+)(?:- +)?(title|question|content|answer):[ \t]*(?:[>|][-+]?[ \t]*)?(.*(?:\n(?:\1[ \t]+\S.*|[ \t]*$))*)",
    re.MULTILINE,
)
_FENCE = re.compile(r"(^[ \t]*(`{3,}|~{3,}).*?^[ \t]*\2[ \t]*$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


class MarkdownParser:
    """Walks the tokens of markdown-it."""

    media_types = ("text/markdown", "text/x-markdown")
    extensions = ("md", "markdown", "mdown", "mkd")

    def parse(self, data: bytes) -> Document:
        """Blocks of the page; the title is the front matter's, or the first top heading."""
        source = decode(data).replace("\r\n", "\n")
        front = _FRONT_MATTER.match(source)
        body = _without_templates(source[front.end() :] if front else source, _front_lists(front))
        outline = Outline()
        _walk(MarkdownIt("commonmark", {"html": True}).enable("table").parse(body), outline)
        if front and not outline.blocks:
            _add_front_pairs(front.group(1), outline)
        title = _front_value(_TITLE, front)
        first = next((block.text for block in outline.blocks if block.kind is BlockKind.HEADING), None)
        return Document(
            blocks=required(outline.blocks, "Markdown page"),
            title=title or first,
            language=_front_value(_LANGUAGE, front),
        )


def _add_front_pairs(front: str, outline: Outline) -> None:
    """Some sites keep a whole FAQ in a page's front matter, as a list of titles with their content."""
    asked = ""
    for match in _PAIR.finditer(front):
        value = one_line(_inline(MarkdownIt("commonmark").parse(textwrap.dedent(match.group(3)))))
        if match.group(2) in {"title", "question"}:
            asked = value
        elif asked:
            add_pair(asked, value, outline)
            asked = ""


def _front_value(pattern: re.Pattern[str], front: re.Match[str] | None) -> str | None:
    found = pattern.search(front.group(1)) if front else None
    return one_line(html_text(found.group(1).strip("'\""))) or None if found else None


def _front_lists(front: re.Match[str] | None) -> dict[str, str]:
    """Lists of the front matter by name, as Markdown: sites keep text there and show it by a tag with `page.name`."""
    lists = {}
    for match in _FRONT_LIST.finditer(front.group(1) + "\n" if front else ""):
        items = [item.strip().removeprefix("-").strip() for item in match.group(2).splitlines()]
        lists[match.group(1)] = "\n".join(f"- {item.strip(QUOTES)}" for item in items)
    return lists


def _without_templates(body: str, lists: dict[str, str]) -> str:
    def shown(match: re.Match[str]) -> str:
        named = _PAGE_VALUE.search(match.group())
        return f"\n\n{lists[named.group(1)]}\n\n" if named and named.group(1) in lists else ""

    parts = _FENCE.split(body)
    # split() with two groups gives: outside, fenced, fence mark, outside, …
    return "".join(
        _TEMPLATE.sub(shown, part) if index % 3 == 0 else part for index, part in enumerate(parts) if index % 3 != 2
    )


def _walk(tokens: Sequence[Token], outline: Outline) -> None:
    index = 0
    while index < len(tokens):
        token = tokens[index]
        end = _closing(tokens, index)
        inside = tokens[index + 1 : end]
        if token.type == "heading_open":
            outline.heading(int(token.tag[1]), _inline(inside))
        elif token.type == "paragraph_open":
            outline.add(BlockKind.PARAGRAPH, clean(_inline(inside)))
        elif token.type in {"bullet_list_open", "ordered_list_open"}:
            _list(tokens[index : end + 1], outline)
        elif token.type == "table_open":
            outline.add(BlockKind.TABLE, pipe_table(_rows(inside)))
        elif token.type in {"fence", "code_block"}:
            outline.add(BlockKind.CODE, token.content)
        elif token.type == "html_block":
            add_html(token.content, outline)
        elif token.type == "blockquote_open":
            _walk(inside, outline)
        index = end + 1


def _closing(tokens: Sequence[Token], index: int) -> int:
    """The index of the token that closes this one; itself if it opens nothing."""
    if tokens[index].nesting != 1:
        return index
    depth = 0
    for position in range(index, len(tokens)):
        depth += tokens[position].nesting
        if depth == 0:
            return position
    return len(tokens) - 1


def _inline(tokens: Sequence[Token]) -> str:
    """The visible text of inline content; a soft break is a space, a hard one a line feed."""
    parts = []
    for token in tokens:
        for child in token.children or []:
            if child.type in {"text", "code_inline", "text_special"}:
                parts.append(child.content)
            elif child.type == "softbreak":
                parts.append(" ")
            elif child.type == "hardbreak":
                parts.append("\n")
            elif child.type == "image":
                parts.append(child.content)
            elif child.type == "html_inline":
                parts.append("\n" if child.content.casefold().startswith("<br") else "")
    return "".join(parts)


def _list(tokens: Sequence[Token], outline: Outline) -> None:
    """One line per item, nested items indented; what is no text in an item (code, tables) follows as its own block."""
    lines: list[str] = []
    others: list[Token] = []
    numbers: list[int | None] = []
    fresh = False
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.type in {"bullet_list_open", "ordered_list_open"}:
            numbers.append(int(token.attrGet("start") or 1) if token.type.startswith("ordered") else None)
        elif token.type in {"bullet_list_close", "ordered_list_close"}:
            numbers.pop()
        elif token.type == "list_item_open":
            fresh = True
        elif token.type == "inline" and (text := one_line(_inline([token]))):
            indent = "  " * (len(numbers) - 1)
            lines.append(f"{indent}{_mark(numbers)} {text}" if fresh else f"{indent}  {text}")
            fresh = False
        elif token.type in {"fence", "code_block", "html_block"}:
            others.append(token)
        elif token.type == "table_open":
            end = _closing(tokens, index)
            others.extend(tokens[index : end + 1])
            index = end
        index += 1
    outline.add(BlockKind.LIST, "\n".join(lines))
    if others:
        _walk(others, outline)


def _mark(numbers: list[int | None]) -> str:
    current = numbers[-1]
    if current is None:
        return "-"
    numbers[-1] = current + 1
    return f"{current}."


def _rows(tokens: Sequence[Token]) -> list[list[str]]:
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(_inline([token]))
    return rows


parser = MarkdownParser()
