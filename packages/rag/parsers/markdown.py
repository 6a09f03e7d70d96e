"""Markdown (CommonMark with tables), with front matter, template tags and HTML inside."""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from packages.rag import front_matter
from packages.rag.documents import BlockKind, Document
from packages.rag.html_blocks import add_html, html_text
from packages.rag.parsing import Outline, clean, decode, one_line, pipe_table, required
from packages.rag.tables import add_pair

# Liquid, Jinja and Hugo tags, and the attribute lists of kramdown: instructions to a site builder, not text.
_TEMPLATE = re.compile(r"\{%[^%]{0,2000}%\}|\{\{[^{}]{0,2000}\}\}|\{:[^}\n]{0,500}\}")
_PAGE_VALUE = re.compile(r"\bpage\.(\w+)")
_FENCE = re.compile(r"(^[ \t]*(`{3,}|~{3,}).*?^[ \t]*\2[ \t]*$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


class MarkdownParser:
    """Walks the tokens of markdown-it."""

    media_types = ("text/markdown", "text/x-markdown")
    extensions = ("md", "markdown", "mdown", "mkd")

    def parse(self, data: bytes) -> Document:
        """Blocks of the page; the title is the front matter's, or the first top heading."""
        fields, body = front_matter.split(decode(data).replace("\r\n", "\n"))
        outline = Outline()
        _walk(_tokens(_without_templates(body, front_matter.lists(fields))), outline)
        for asked, said in front_matter.pairs(fields):
            add_pair(html_text(asked), _plain(said), outline)
        title = front_matter.text_field(fields, "title")
        return Document(
            blocks=required(outline.blocks, "Markdown page"),
            title=one_line(html_text(title)) if title else outline.first_heading,
            language=front_matter.text_field(fields, "lang", "language", "locale"),
        )


def _tokens(source: str) -> list[Token]:
    return MarkdownIt("commonmark", {"html": True}).enable("table").parse(source)


def _plain(source: str) -> str:
    """The text of a piece of Markdown that stands inside something else."""
    outline = Outline()
    _walk(_tokens(_without_templates(source, {})), outline)
    return "\n".join(block.text for block in outline.blocks)


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
