"""Each recorded payload gives what it must; what is broken never takes its neighbours along."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from packages.core.domain.messages import DeliveryStatus, InboundMessage
from services.channel_gateway.channels import Item, Unreadable
from services.channel_gateway.channels.instagram.inbound import parse

HERE = Path(__file__).parent
ACCOUNT = "17841400000000001"
PERSON = "6120000000000001"
OWN_ID = "01890000-0000-7000-8000-00000000000a"

NOT_AS_DESCRIBED = {
    "mention_in_comment.json": "a mention names no person, so it is no message of anybody: ignored, with the reason",
    "object_page_envelope.json": "a Messenger page's event, which is not Instagram's: ignored",
}
CASES = json.loads((HERE / "expected.json").read_text())
SHARED = {"share", "ig_post", "ig_reel", "reel", "fallback", "ephemeral", "template", "story_mention"}


def payload(file: str) -> bytes:
    return (HERE / "payloads" / file).read_bytes()


@pytest.mark.parametrize("case", CASES, ids=[case["file"] for case in CASES])
def test_recorded_payload(case: dict[str, Any]) -> None:
    items = parse(payload(case["file"]))
    expected = case["expected"]
    assert len(items) == expected["count"]
    for item, event in zip(items, expected["events"], strict=True):
        if case["file"] in NOT_AS_DESCRIBED or expected.get("disposition") == "ignore":
            assert item.ignored
        elif event["kind"] == "read":
            check_read(item, event)
        else:
            check(item, event)


def check(item: Item, event: dict[str, Any]) -> None:
    """Compare an item with the description of what the payload holds."""
    message = item.message
    assert message is not None
    assert item.account_id == event["channel_account"]
    assert item.kind == item_kind(event)
    assert message.sender.external_id == event.get("conversation", event["sender"])
    assert message.sender.username == event.get("username")
    assert message.echo == (event.get("direction") == "outbound")
    assert message.standby == event.get("standby", False)
    assert message.sent_at == moment(event["timestamp"])
    check_ids(message, event)
    check_content(message, event)
    check_extra(message.extra, event)


def item_kind(event: dict[str, Any]) -> str:
    return "echo" if event.get("direction") == "outbound" else str(event["kind"])


def check_ids(message: InboundMessage, event: dict[str, Any]) -> None:
    target = event.get("target") or event.get("reaction", {}).get("target")
    assert message.target == target
    if "external_id" in event and not target:
        assert message.external_id == event["external_id"]
    else:
        assert message.external_id not in {"", target}


def check_content(message: InboundMessage, event: dict[str, Any]) -> None:
    kinds = [attachment["type"] for attachment in event.get("attachments", [])]
    wanted = [("share" if kind in SHARED else {"file": "document"}.get(kind, kind)) for kind in kinds]
    assert [attachment.kind for attachment in message.attachments] == wanted
    assert [attachment.url for attachment in message.attachments] == [
        a.get("url") for a in event.get("attachments", [])
    ]
    assert [attachment.caption for attachment in message.attachments if "template" not in kinds] == [
        a.get("title") for a in event.get("attachments", []) if a["type"] != "template"
    ]
    assert message.text == (event.get("text") or event.get("reaction", {}).get("emoji"))
    assert message.payload == event.get("payload")
    assert message.reply_to == event.get("reply_to")


def check_extra(extra: dict[str, Any], event: dict[str, Any]) -> None:
    assert extra.get("story") == event.get("reply_to_story")
    assert extra.get("referral") == event.get("referral")
    assert extra.get("name") == event.get("reaction", {}).get("name")
    assert bool(extra.get("removed")) == event.get("reaction", {}).get("removed", False)
    assert extra.get("edit_number") == event.get("edit_number")
    if event.get("subtype") in {"pass_thread_control", "take_thread_control", "request_thread_control", "comments"}:
        assert extra["type"] == event["subtype"]
    if "media" in event:
        assert extra["media"]["id"] == event["media"]


def check_read(item: Item, event: dict[str, Any]) -> None:
    status = item.status
    assert status is not None
    assert (status.external_id, status.status, status.covers_earlier) == (event["target"], DeliveryStatus.READ, True)
    assert status.recipient == event["sender"]
    assert status.at == moment(event["timestamp"])


def moment(text: str) -> datetime:
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ"
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def webhook(*events: Any, key: str = "messaging", **entry: Any) -> bytes:
    """A body with one entry."""
    return json.dumps(
        {"object": "instagram", "entry": [{"id": ACCOUNT, "time": 1, key: list(events), **entry}]}
    ).encode()


def event(sender: str = PERSON, recipient: str = ACCOUNT, **what: Any) -> dict[str, Any]:
    """One item of `messaging`."""
    return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": 1749416383349, **what}


def message(**what: Any) -> dict[str, Any]:
    """A person's message."""
    return event(message={"mid": "m-1", **what})


def echo(**what: Any) -> dict[str, Any]:
    """A message of our own side."""
    return event(ACCOUNT, PERSON, message={"mid": "m-2", "is_echo": True, **what})


def only(body: bytes) -> Item:
    [item] = parse(body)
    return item


def text_of(item: Item) -> InboundMessage:
    assert item.message is not None
    return item.message


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"text": "Hi"}, "text"),
        ({"text": "Look", "attachments": [{"type": "image", "payload": {"url": "https://x/1"}}]}, "image"),
        ({"text": "Look", "attachments": [{"type": "ig_reel", "payload": {"url": "https://x/1"}}]}, "text"),
        ({"attachments": [{"type": "share"}, {"type": "video", "payload": {}}]}, "video"),
        ({"attachments": [{"type": "file", "payload": {"url": "https://x/1"}}]}, "document"),
        ({"attachments": [{"type": "something_new", "payload": {"url": "https://x/1"}}]}, "share"),
        ({"attachments": [{"payload": {"url": "https://x/1"}}]}, "share"),
        ({"attachments": [{"type": "like_heart"}]}, "sticker"),
        ({"quick_reply": {"payload": "YES"}, "text": "Yes"}, "interactive"),
        ({"is_unsupported": True}, "unsupported"),
        ({}, "unsupported"),
    ],
)
def test_kind_of_message(content: dict[str, Any], kind: str) -> None:
    assert text_of(only(webhook(message(**content)))).kind == kind


def test_what_was_shared_says_what_it_is() -> None:
    reel = {"type": "ig_reel", "payload": {"reel_video_id": "18", "title": "How to", "url": "https://x/1"}}
    found = text_of(only(webhook(message(attachments=[reel]))))
    assert found.extra["shared"] == [{"type": "ig_reel", "id": "18", "title": "How to", "url": "https://x/1"}]


def test_echo_of_our_own_send_is_a_status() -> None:
    item = only(webhook(echo(text="Hi", app_id=1, metadata=f"{OWN_ID}:2")))
    assert item.status is not None
    assert (item.status.status, item.status.correlation_id) == (DeliveryStatus.SENT, f"{OWN_ID}:2")
    assert (item.status.external_id, item.external_id, item.kind) == ("m-2", "m-2:sent", "status")


@pytest.mark.parametrize("metadata", [None, "", "msg-0001", ":", OWN_ID[:-1]])
def test_echo_of_another_app_is_an_echo(metadata: str | None) -> None:
    item = only(webhook(echo(text="Hi", app_id=263902037430900, metadata=metadata)))
    found = text_of(item)
    assert (item.kind, found.echo, found.sender.external_id, found.text) == ("echo", True, PERSON, "Hi")
    assert found.extra["app_id"] == "263902037430900"


def test_deleted_echo_deletes_our_own_message() -> None:
    found = text_of(only(webhook(echo(is_deleted=True, metadata=OWN_ID))))
    assert (found.kind, found.target, found.echo) == ("delete", "m-2", True)


def test_message_its_edits_and_its_deletion_have_ids_of_their_own() -> None:
    edits = [event(message_edit={"mid": "m-1", "text": "b", "num_edit": number}) for number in (1, 2)]
    items = parse(webhook(message(text="a"), *edits, message(is_deleted=True), event(read={"mid": "m-1"})))
    assert len({item.external_id for item in items}) == 5


def test_same_reaction_at_another_time_is_no_repeat() -> None:
    first = event(reaction={"mid": "m-1", "action": "react", "emoji": "❤️"})
    later = first | {"timestamp": 1749416384000}
    ids = [item.external_id for item in parse(webhook(first, first, later))]
    assert ids[0] == ids[1] != ids[2]


def test_repeated_delivery_has_the_same_ids() -> None:
    body = payload("postback_standby_no_payload.json")
    assert [item.external_id for item in parse(body)] == [item.external_id for item in parse(body)]


def test_reaction_without_an_emoji_is_shown_by_its_name() -> None:
    assert text_of(only(webhook(event(reaction={"mid": "m-1", "reaction": "love"})))).text == "❤️"


def test_own_read_mark_is_ignored() -> None:
    item = only(webhook(event(ACCOUNT, PERSON, read={"mid": "m-1"})))
    assert item.ignored == "our own side has read the conversation"


def test_opt_in_keeps_no_token() -> None:
    found = text_of(only(payload("optin_notification_messages.json")))
    assert found.extra["optin"]["title"] == "Weekly deals"
    assert "notification_messages_token" not in found.extra["optin"]


@pytest.mark.parametrize(
    "what", [{"app_roles": {"1": ["primary_receiver"]}}, {"policy_enforcement": {"action": "block"}}]
)
def test_event_of_the_account_shows_in_its_diagnosis(what: dict[str, Any]) -> None:
    item = only(webhook({"recipient": {"id": ACCOUNT}, "timestamp": 1, **what}))
    assert (item.kind, item.account_id) == ("account", ACCOUNT)
    assert item.ignored


@pytest.mark.parametrize("stamp", [1749416383, "1749416383", 1749416383000, "1749416383000"])
def test_times_of_each_kind(stamp: Any) -> None:
    found = text_of(only(webhook(event(message={"mid": "m", "text": "a"}) | {"timestamp": stamp})))
    assert found.sent_at == datetime(2025, 6, 8, 20, 59, 43, tzinfo=UTC)


@pytest.mark.parametrize("stamp", [None, "soon", 10**40, True, [], -(10**18)])
def test_time_in_no_known_form_is_none(stamp: Any) -> None:
    assert text_of(only(webhook(event(message={"mid": "m", "text": "a"}) | {"timestamp": stamp}))).sent_at is None


@pytest.mark.parametrize("field", ["story_insights", "unheard_of", ""])
def test_other_fields_are_ignored(field: str) -> None:
    assert only(webhook({"field": field, "value": {"media_id": "1"}}, key="changes")).kind == "other"


def test_live_comment_is_a_comment() -> None:
    value = {"id": "c-1", "from": {"id": PERSON, "username": "alex"}, "text": "Hello", "media": {"id": "9"}}
    item = only(webhook({"field": "live_comments", "value": value}, key="changes"))
    assert (item.kind, text_of(item).extra["type"]) == ("comment", "live_comments")


BROKEN = [
    None,
    5,
    {},
    event(),
    event(message=5),
    event(message={"mid": 7, "text": "a"}),
    event(message={"mid": "m", "attachments": [5]}),
    event(message={"is_deleted": True}),
    event(read={"mid": ""}),
    event(read={}),
    event(reaction={}),
    event(ACCOUNT, ACCOUNT, message={"mid": "m", "text": "a"}),
    {"message": {"mid": "m", "text": "a"}},
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_item_leaves_its_neighbours_alone(broken: Any) -> None:
    first, bad, last = parse(webhook(message(text="a"), broken, message(text="b")))
    assert bad.ignored
    assert (text_of(first).text, text_of(last).text) == ("a", "b")


@pytest.mark.parametrize("entry", [None, 5, {}, {"id": None}, {"id": ACCOUNT, "messaging": 5, "changes": "x"}])
def test_broken_entry_leaves_its_neighbours_alone(entry: Any) -> None:
    good = {"id": ACCOUNT, "messaging": [message(text="a")]}
    items = parse(json.dumps({"object": "instagram", "entry": [good, entry, good]}).encode())
    assert [item.kind for item in (items[0], items[-1])] == ["message", "message"]
    assert {item.kind for item in items[1:-1]} == {"malformed"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"\xff", b"[" * 100_000])
def test_body_that_is_no_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(body)


def test_webhook_without_entries_is_malformed() -> None:
    assert only(b'{"object": "instagram"}').kind == "malformed"
