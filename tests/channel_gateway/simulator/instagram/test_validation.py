"""The documented rules of the messaging API, one by one."""

from typing import Any

import pytest

from services.channel_gateway.simulator.platforms.instagram.errors import InstagramError
from services.channel_gateway.simulator.platforms.instagram.validation import check
from tests.channel_gateway.simulator.instagram.conftest import PERSON, text

URL = {"url": "https://cdn.example.com/a"}
LINK = {"type": "web_url", "title": "See", "url": "https://example.com"}


def of(**message: Any) -> dict[str, Any]:
    return {"recipient": {"id": PERSON}, "message": message}


def template(**payload: Any) -> dict[str, Any]:
    return of(attachment={"type": "template", "payload": payload})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"recipient": {"id": PERSON}},
        {"recipient": {}, "message": {"text": "a"}},
        text(unknown=1),
        text(reply_to="m-1"),
        text(tag="ACCOUNT_UPDATE", messaging_type="MESSAGE_TAG"),
        text(messaging_type="MESSAGE_TAG"),
        text(messaging_type="SOMETHING"),
        text(sender_action="typing_on"),
        of(text=""),
        of(text=5),
        of(text="a", attachment={"type": "image", "payload": URL}),
        of(text="a", biz_opaque_callback_data="x"),
        of(text="a", metadata="x" * 1000),
        of(text="a", quick_replies=[]),
        of(text="a", quick_replies=[{"content_type": "text", "title": "a", "payload": "b"}] * 14),
        of(text="a", quick_replies=[{"content_type": "text", "title": "x" * 21, "payload": "b"}]),
        of(text="a", quick_replies=[{"content_type": "text", "title": "a", "payload": "x" * 1001}]),
        of(text="a", quick_replies=[{"content_type": "location"}]),
        of(attachment="image"),
        of(attachment={"type": "image"}),
        of(attachment={"type": "hologram", "payload": URL}),
        of(attachment={"type": "image", "payload": {"url": "ftp://x/a"}}),
        of(attachments=[{"type": "video", "payload": URL}]),
        of(attachments=[{"type": "image", "payload": URL}] * 11),
        template(template_type="button", text="x" * 641, buttons=[LINK]),
        template(template_type="button", text="a", buttons=[LINK] * 4),
        template(template_type="button", text="a", buttons=[{"type": "call", "title": "a"}]),
        template(template_type="button", text="a", buttons=[{"type": "postback", "title": "a"}]),
        template(template_type="generic", elements=[{"title": "x" * 81}]),
        template(template_type="generic", elements=[{"title": "a", "subtitle": "x" * 81}]),
        template(template_type="list"),
        {"recipient": {"id": PERSON}, "sender_action": "dance"},
        {"recipient": {"id": PERSON}, "sender_action": "react", "payload": {"message_id": "m"}},
        {"recipient": {"id": PERSON}, "sender_action": "react", "payload": {"reaction": "love"}},
    ],
)
def test_request_against_the_rules(body: Any) -> None:
    with pytest.raises(InstagramError) as caught:
        check(body)
    assert caught.value.code == 100


def test_text_is_counted_in_bytes() -> None:
    assert check(of(text="й" * 500)).text == "й" * 500
    with pytest.raises(InstagramError):
        check(of(text="й" * 501))


def test_files_are_named_with_their_kind() -> None:
    pictures = [{"type": "image", "payload": URL}] * 2
    assert check(of(attachments=pictures)).files == (("image", URL["url"]),) * 2
    assert check(of(attachment={"type": "audio", "payload": {"attachment_id": "1"}})).files == ()


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"text": "Hi"}, "Hi"),
        ({"attachment": {"type": "image", "payload": URL}}, "[image]"),
        ({"attachment": {"type": "like_heart"}}, "[like_heart]"),
        (template(template_type="button", text="Track it", buttons=[LINK])["message"], "Track it"),
        (template(template_type="generic", elements=[{"title": "a"}, {"title": "b"}])["message"], "a\nb"),
    ],
)
def test_what_the_person_reads(message: dict[str, Any], shown: str) -> None:
    assert check(of(**message)).text == shown


def test_private_reply_goes_to_a_comment() -> None:
    order = check({"recipient": {"comment_id": "c-1"}, "message": {"text": "Hi"}})
    assert (order.recipient, order.to_comment) == ("c-1", True)
