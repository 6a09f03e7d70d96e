"""Markdown as people write it and as site builders keep it."""

import pytest

from packages.rag.documents import BlockKind, UnreadableDocument
from packages.rag.parsers.markdown import parser
from tests.factories.knowledge import document


def blocks(source: str) -> list[tuple[str, str]]:
    return [(block.kind.value, block.text) for block in parser.parse(source.encode()).blocks]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# A\n\nText *with* `code` and [a link](x).", [("heading", "A"), ("paragraph", "Text with code and a link.")]),
        ("one\ntwo  \nthree", [("paragraph", "one two\nthree")]),
        ("- a\n- b\n  - c\n\n1. d\n2. e", [("list", "- a\n- b\n  - c"), ("list", "1. d\n2. e")]),
        ("| A | B |\n|---|---|\n| 1 | 2 |", [("table", "| A | B |\n| --- | --- |\n| 1 | 2 |")]),
        ("```\nx = 1\n\ny = 2\n```", [("code", "x = 1\n\ny = 2")]),
        ("{% include x.html %}Seen.{{ page.url }} {: .class}", [("paragraph", "Seen.")]),
        ("Use `{{ name }}` here.", [("paragraph", "Use {{ name }} here.")]),
        ("<div class='x'>\n\nInside **it**.\n\n</div>", [("paragraph", "Inside it.")]),
        ("<script>alert(1)</script>\n\nText.", [("paragraph", "Text.")]),
        ("<!-- hidden -->\n\nText.", [("paragraph", "Text.")]),
        (
            "<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>",
            [("table", "| A | B |\n| --- | --- |\n| 1 | 2 |")],
        ),
        ("> Quoted.", [("paragraph", "Quoted.")]),
    ],
)  # fmt: skip
def test_blocks(source: str, expected: list[tuple[str, str]]) -> None:
    assert blocks(source) == expected


def test_headings_nest() -> None:
    parsed = parser.parse(b"# A\n\n## B\n\none\n\n### C\n\ntwo\n\n## D\n\nthree")
    paths = [block.headings for block in parsed.blocks if block.kind is BlockKind.PARAGRAPH]
    assert paths == [("A", "B"), ("A", "B", "C"), ("A", "D")]


def test_front_matter_gives_the_title_and_no_text() -> None:
    parsed = parser.parse(b"---\nlayout: help\ntitle: 'My title'\nlang: fr\n---\n\n# Other\n\nText.")
    assert (parsed.title, parsed.language) == ("My title", "fr")
    assert "layout" not in "".join(block.text for block in parsed.blocks)


def test_lists_of_the_front_matter_stand_where_the_page_shows_them() -> None:
    parsed = parser.parse(document("accepted-id-type.md"))
    found = {block.headings[-1]: block.text for block in parsed.blocks if block.kind is BlockKind.LIST}
    assert "Driver's license from all 50 states" in found["Login.gov accepts these ID types:"]
    assert "Military IDs" in found["We do not accept:"]
    assert "Military IDs" not in found["Login.gov accepts these ID types:"]


def test_a_page_of_front_matter_alone_gives_its_questions() -> None:
    parsed = parser.parse(document("partners-faq.md"))
    assert parsed.title == "Frequently Asked Questions (FAQ)"
    assert {block.kind for block in parsed.blocks} == {BlockKind.FAQ}
    assert len(parsed.blocks) > 10


@pytest.mark.parametrize("source", ["---\ntitle: x\n---\n", "<!-- nothing -->", "{% x %}"])
def test_a_page_without_text_is_refused(source: str) -> None:
    with pytest.raises(UnreadableDocument, match="no text"):
        parser.parse(source.encode())
