"""Messages as the requests they take: files, captions, buttons, fallbacks, the same on every repeat."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.core.domain.channels import Capabilities
from packages.core.domain.messages import Attachment, Button, Reaction, Template
from services.channel_gateway.channels import File, Part
from services.channel_gateway.composition import Uncarried, compose
from services.channel_gateway.formatting import size
from tests.contracts.channel import MESSAGE_ID, outbound

PLAIN = Capabilities(label="Plain", text_limit=4096)
RICH = Capabilities(
    label="Rich",
    text_limit=200,
    markdown="whatsapp",
    media={"image": 1000, "document": 5000, "audio": 1000},
    caption_limit=50,
    buttons=3,
    button_limit=10,
    link_buttons=1,
    list_rows=5,
    templates=True,
    reactions=True,
)


def file(kind: str = "image", length: int = 10, name: str = "a.png") -> File:
    async def read() -> bytes:
        return b"x" * length

    return File(
        kind=kind, media_type="image/png", filename=name, size=length, url=f"https://files.example/{name}", read=read
    )


def composed(capabilities: Capabilities = RICH, files: tuple[File, ...] = (), **response: Any) -> list[Part]:
    captions = response.pop("captions", ()) or (None,) * len(files)
    attachments = tuple(Attachment(kind=one.kind, caption=words) for one, words in zip(files, captions, strict=True))
    return compose(outbound(attachments=attachments, **response), capabilities, files)


def said(parts: list[Part]) -> list[tuple[str | None, str]]:
    return [(part.file.kind if part.file else None, part.text) for part in parts]


def test_sources_follow_the_text() -> None:
    citations = ({"title": "Shipping_to_*all*", "location": {"page": 3}}, {"title": "Returns", "location": {}})
    (only,) = composed(PLAIN, text="**In** two days.", citations=citations)
    assert only.text == "In two days.\n\nSources:\n[1] Shipping_to_*all*, p. 3\n[2] Returns"


def test_titles_are_shortened_before_the_text_is_split() -> None:
    narrow = Capabilities(label="Narrow", text_limit=120)
    (only,) = composed(narrow, text="x" * 60, citations=({"title": "t" * 100},))
    assert only.text.startswith("x" * 60 + "\n\nSources:\n[1] ttt")
    assert only.text.endswith("…")


def test_sources_come_last_where_the_text_is_split() -> None:
    narrow = Capabilities(label="Narrow", text_limit=100)
    found = [part.text for part in composed(narrow, text="word " * 30, citations=({"title": "A"},))]
    assert found[-1].endswith("Sources:\n[1] A")
    assert all("Sources" not in text for text in found[:-1])


def test_long_text_takes_several_parts_that_can_be_told_apart() -> None:
    text = " ".join(f"This is sentence number {number}." for number in range(300))
    parts = composed(PLAIN, text=text, reply_to="wamid.question")
    assert " ".join(part.text for part in parts) == text
    assert all(len(part.text) <= 4096 for part in parts)
    assert [part.correlation_id for part in parts] == [MESSAGE_ID, f"{MESSAGE_ID}:1", f"{MESSAGE_ID}:2"]
    assert [part.reply_to for part in parts] == ["wamid.question", None, None]


def test_plain_words_beside_the_dialect() -> None:
    (only,) = composed(text="**Hello**")
    assert (only.text, only.plain) == ("*Hello*", "Hello")


class TestFiles:
    def test_short_words_go_beneath_the_first_file(self) -> None:
        parts = composed(files=(file(), file()), text="**Look**")
        assert said(parts) == [("image", "*Look*"), ("image", "")]

    def test_long_words_follow_the_files(self) -> None:
        parts = composed(files=(file(),), text="word " * 20)
        assert said(parts) == [("image", ""), (None, ("word " * 20).strip())]

    def test_each_file_keeps_its_own_words(self) -> None:
        parts = composed(files=(file(), file()), captions=("one", "two"), text="all")
        assert said(parts) == [("image", "one"), ("image", "two"), (None, "all")]

    def test_words_that_cannot_go_beneath_a_file_are_not_lost(self) -> None:
        parts = composed(files=(file("audio"),), captions=("listen",), text="")
        assert said(parts) == [("audio", ""), (None, "listen")]

    @pytest.mark.parametrize(("length", "kind"), [(1000, "image"), (1001, "document")])
    def test_a_large_picture_goes_as_a_document(self, length: int, kind: str) -> None:
        assert said(composed(files=(file(length=length),), text="")) == [(kind, "")]

    @pytest.mark.parametrize("one", [file(length=5001), file("video", 5001)])
    def test_what_the_channel_does_not_take_becomes_a_link(self, one: File) -> None:
        assert said(composed(files=(one,), text="See:")) == [(None, "See:\n\na.png: https://files.example/a.png")]

    def test_a_channel_without_files_gets_links(self) -> None:
        parts = composed(PLAIN, files=(file(), file(name="b.png")), text="")
        assert said(parts) == [(None, "a.png: https://files.example/a.png\nb.png: https://files.example/b.png")]

    def test_sources_never_hide_in_a_caption(self) -> None:
        parts = composed(files=(file(),), text="Look", citations=({"title": "A"},))
        assert said(parts) == [("image", ""), (None, "Look\n\nSources:\n[1] A")]


def titles(parts: list[Part]) -> list[str]:
    return [button.title for button in parts[-1].buttons]


class TestButtons:
    @pytest.mark.parametrize("count", [1, 3, 5])
    def test_as_buttons_or_a_list(self, count: int) -> None:
        parts = composed(text="Which?", buttons=tuple(Button(title=f"B{number}") for number in range(count)))
        assert titles(parts) == [f"B{number}" for number in range(count)]
        assert parts[-1].text == "Which?"

    def test_too_many_become_numbered_lines(self) -> None:
        buttons = (Button(title="One", description="the first"), *(Button(title=f"B{n}") for n in range(2, 7)))
        (only,) = composed(text="Which?", buttons=buttons)
        assert only.text == "Which?\n\n1. One – the first\n2. B2\n3. B3\n4. B4\n5. B5\n6. B6"
        assert only.buttons == ()

    def test_titles_are_shortened_and_told_apart(self) -> None:
        parts = composed(buttons=(Button(title="A very long title"), Button(title="A very long tale")))
        assert titles(parts) == ["A very lo…", "A very… 2"]
        assert [button.payload for button in parts[-1].buttons] == ["A very long title", "A very long tale"]

    def test_one_link_is_a_button_two_are_lines(self) -> None:
        link = Button(title="Shop", url="https://shop.example/")
        assert titles(composed(text="x", buttons=(link,))) == ["Shop"]
        (only,) = composed(text="x", buttons=(link, link))
        assert only.text == "x\n\nShop: https://shop.example/\nShop: https://shop.example/"

    def test_links_beside_replies(self) -> None:
        buttons = (Button(title="Yes"), Button(title="Shop", url="https://shop.example/"))
        parts = composed(text="x", buttons=buttons)
        assert (titles(parts), parts[-1].text) == (["Yes"], "x\n\nShop: https://shop.example/")
        alike = Capabilities(label="Alike", text_limit=100, buttons=3, link_buttons=3)
        assert titles(composed(alike, text="x", buttons=buttons)) == ["Yes", "Shop"]

    def test_below_the_last_words_of_a_long_text(self) -> None:
        parts = composed(text="word " * 60, buttons=(Button(title="Yes"),))
        assert [len(part.buttons) for part in parts] == [0] * (len(parts) - 1) + [1]
        assert len(parts[-1].text) <= 50

    def test_without_words(self) -> None:
        assert composed(text="", buttons=(Button(title="Yes"),))[0].text == "…"

    def test_below_a_file(self) -> None:
        parts = composed(files=(file(),), text="Take it?", buttons=(Button(title="Yes"),))
        assert said(parts) == [("image", ""), (None, "Take it?")]
        assert titles(parts) == ["Yes"]


class TestAlone:
    def test_template(self) -> None:
        template = Template(name="ready", body=("4711",))
        (only,) = composed(text="words", template=template)
        assert (only.template, only.text) == (template, "")

    def test_reaction(self) -> None:
        (only,) = composed(text="", reaction=Reaction(target="wamid.1", emoji="👍"))
        assert only.reaction == Reaction(target="wamid.1", emoji="👍")

    @pytest.mark.parametrize(
        ("more", "code"),
        [({"template": Template(name="x")}, "no_templates"), ({"reaction": Reaction(target="x")}, "no_reactions")],
    )
    def test_what_a_channel_cannot_show(self, more: dict[str, Any], code: str) -> None:
        with pytest.raises(Uncarried, match="Plain") as refused:
            composed(PLAIN, text="", **more)
        assert refused.value.code == code


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(max_size=500),
    buttons=st.lists(st.builds(Button, title=st.text(min_size=1, max_size=40)), max_size=8),
    files=st.lists(st.builds(file, st.sampled_from(["image", "video", "audio"]), st.integers(1, 6000)), max_size=3),
    unit=st.sampled_from(["characters", "bytes", "utf16"]),
    dialect=st.sampled_from(["none", "whatsapp"]),
)
def test_always_something_always_within_the_limits(
    text: str, buttons: list[Button], files: list[File], unit: str, dialect: str
) -> None:
    rules = Capabilities(
        label="Any", text_limit=100, text_unit=unit, markdown=dialect, media=RICH.media, caption_limit=40, buttons=3,
        button_limit=10, list_rows=5,
    )  # fmt: skip
    parts = composed(rules, files=tuple(files), text=text, buttons=tuple(buttons))
    assert parts
    assert parts == composed(rules, files=tuple(files), text=text, buttons=tuple(buttons))
    for part in parts:
        assert part.file or part.text
        assert size(part.text, unit) <= (40 if part.file or part.buttons else 100)
        assert len(part.buttons) <= 5
        assert all(len(button.title) <= 10 for button in part.buttons)
