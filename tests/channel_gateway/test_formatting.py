"""One markdown subset in each platform's words, and cut at its limits whatever was written."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.channel_gateway.formatting import pieces, render, shortened, size
from services.channel_gateway.markdown import parse

DIALECTS = ["none", "whatsapp", "telegram_html"]


def rendered(source: str, dialect: str) -> str:
    return render(parse(source, links=dialect == "telegram_html"), dialect)


@pytest.mark.parametrize(
    ("source", "none", "whatsapp", "telegram"),
    [
        ("**bold** _it_ ~~no~~", "bold it no", "*bold* _it_ ~no~", "<b>bold</b> <i>it</i> <s>no</s>"),
        ("**a *b* c**", "a b c", "*a _b_ c*", "<b>a <i>b</i> c</b>"),
        ("`x < y`", "x < y", "`x < y`", "<code>x &lt; y</code>"),
        ("```py\nx = 1\n```", "x = 1", "```x = 1```", "<pre>x = 1</pre>"),
        ("# Title\ntext", "Title\n\ntext", "*Title*\n\ntext", "<b>Title</b>\n\ntext"),
        ("> a\n> b", "> a\n> b", "> a\n> b", "<blockquote>a\nb</blockquote>"),
        ("- a\n* b\n  - c", "- a\n\n- b\n  - c", "- a\n\n- b\n  - c", "- a\n\n- b\n  - c"),
        ("3. a\n4. b", "3. a\n4. b", "3. a\n4. b", "3. a\n4. b"),
        ("[site](https://a.b/c?d=1&e=2)", *["site (https://a.b/c?d=1&e=2)"] * 2,
         '<a href="https://a.b/c?d=1&amp;e=2">site</a>'),
        ("[https://a.b](https://a.b)", "https://a.b", "https://a.b", '<a href="https://a.b">https://a.b</a>'),
        ("<b>&amp;</b>", "<b>&amp;</b>", "<b>&amp;</b>", "&lt;b&gt;&amp;amp;&lt;/b&gt;"),
        (r"\*not bold\*", "*not bold*", "*\u200bnot bold*", "*not bold*"),
        ("2*3*4 and snake_case_name", *["2*3*4 and snake_case_name"] * 3),
        ("see https://a.b/_c_/*d* now", *["see https://a.b/_c_/*d* now"] * 3),
        ("**https://a.b/c**", "https://a.b/c", "*https://a.b/c*", "<b>https://a.b/c</b>"),
        ("un**believ**able", "unbelievable", "unbelievable", "un<b>believ</b>able"),
        ("**two\nlines**", "two\nlines", "*two*\n*lines*", "<b>two\nlines</b>"),
        ("[x](javascript:alert(1))", *["[x](javascript:alert(1))"] * 3),
        ("+ 49 170 123", *["+ 49 170 123"] * 3),
        ("a\n\n\nb", "a\n\n\nb", "a\n\n\nb", "a\n\n\nb"),
        ("**unbalanced", "**unbalanced", "*\u200b*\u200bunbalanced", "**unbalanced"),
    ],
)  # fmt: skip
def test_dialects(source: str, none: str, whatsapp: str, telegram: str) -> None:
    assert [rendered(source, dialect) for dialect in DIALECTS] == [none, whatsapp, telegram]


@pytest.mark.parametrize(("unit", "length"), [("characters", 3), ("bytes", 6), ("utf16", 4)])
def test_units(unit: str, length: int) -> None:
    assert size("aß😀"[:3].replace("ß", "b"), unit) == length


def cut(text: str, limit: int, dialect: str = "none", unit: str = "characters") -> list[str]:
    return [piece.text for piece in pieces(parse(text, links=False), dialect, limit, unit)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("First part here.\n\nSecond part.", ["First part here.", "Second part."]),
        ("One sentence. Two sentence.", ["One sentence.", "Two sentence."]),
        ("word word word word word", ["word word word word", "word"]),
        ("x" * 45, ["x" * 20, "x" * 20, "x" * 5]),
    ],
)
def test_cut_at_the_best_border(text: str, expected: list[str]) -> None:
    assert cut(text, 20) == expected


def test_each_piece_opens_and_closes_its_own_marks() -> None:
    assert cut(f"**{'word ' * 6}word**", 17, "whatsapp") == ["*word word word*"] * 2 + ["*word*"]


@pytest.mark.parametrize(
    "whole",
    ["👨‍👩‍👧‍👦", "👍🏽", "🇩🇪", "é".replace("é", "e\u0301"), "각"],
)
def test_no_character_is_cut_in_two(whole: str) -> None:
    limit = len(whole) + 3
    for piece in cut(whole * 20, limit):
        assert len(piece) % len(whole) == 0


def test_what_is_left_without_mark_up_counts_on_telegram() -> None:
    assert len(pieces(parse("**b** & " * 10, links=True), "telegram_html", 40, "utf16")) == 1


def test_a_link_longer_than_the_limit_is_cut_like_words() -> None:
    found = cut(f"[x](https://a.b/{'c' * 90})", 40, "whatsapp")
    assert "".join(found).replace(" ", "") == f"x(https://a.b/{'c' * 90})"


@pytest.mark.parametrize(("text", "longest", "expected"), [("short", 5, "short"), ("longer", 5, "long…")])
def test_shortened(text: str, longest: int, expected: str) -> None:
    assert shortened(text, longest) == expected


class Balanced(HTMLParser):
    """Fails on tags that Telegram would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"b", "i", "s", "a", "code", "pre", "blockquote"}
        self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


SOURCES = st.lists(
    st.sampled_from(
        ["**", "*", "_", "~~", "`", "```\n", "[", "](https://a.b/c)", "> ", "- ", "1. ", "# ", "\n", "\n\n", " ", "\\",
         "<b>", "&", "word", "Wort ", "😀", "é", "e\u0301", "🇩🇪", "한국어 ", "https://x.y/_z_", "  "]
    )
    | st.text(max_size=6),
    max_size=40,
).map("".join)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    SOURCES,
    st.sampled_from(DIALECTS),
    st.integers(min_value=16, max_value=80),
    st.sampled_from(["characters", "bytes", "utf16"]),
)
def test_any_text_is_cut_within_the_limit(source: str, dialect: str, limit: int, unit: str) -> None:
    document = parse(source, links=dialect == "telegram_html")
    found = pieces(document, dialect, limit, unit)
    for piece in found:
        counted = piece.text
        if dialect == "telegram_html":
            reader = Balanced()
            reader.feed(piece.text)
            reader.close()
            assert not reader.opened
            counted = reader.text
        assert piece.text.strip()
        assert size(counted, unit) <= limit
    kept = re.sub(r"[\W_]", "", "".join(piece.plain for piece in found))
    assert re.sub(r"[\W_]", "", document.text) in kept or dialect == "telegram_html"


@settings(max_examples=100, deadline=None)
@given(SOURCES)
def test_no_word_is_lost(source: str) -> None:
    source = re.sub(r"[`\[\]\\]|^\s*\d+[.)]", "", source, flags=re.MULTILINE)
    words = re.findall(r"[^\W\d_]+", source.replace("\x00", ""))
    shown = rendered(source, "none")
    assert all(word in shown for word in words)
