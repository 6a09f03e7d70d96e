"""Each recorded update gives what it must; nothing that Telegram may send is an error."""

import copy
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.core.domain.messages import DeliveryStatus, InboundMessage
from services.channel_gateway.channels import Item, Unreadable
from services.channel_gateway.channels.telegram.inbound import parse
from tests.contracts.channel import check_item

HERE = Path(__file__).parent
CASES = json.loads((HERE / "expected.json").read_text())

# Read otherwise than the fixture says, and why.
OTHERWISE = {
    "channel_post.json": "no customer writes in a channel, so posts are ignored",
    "edited_channel_post.json": "no customer writes in a channel, so posts are ignored",
    "giveaway.json": "a post in a channel",
    "supergroup_migrated_from_group.json": "the old group's message tells it; another would open a conversation",
}
ATTACHMENTS = {
    "photo": "image",
    "video": "video",
    "audio": "audio",
    "voice": "audio",
    "video_note": "video",
    "animation": "video",
    "document": "document",
    "sticker": "sticker",
}
UNSUPPORTED = {"dice", "poll", "story"}


def payload(file: str) -> bytes:
    return (HERE / "payloads" / file).read_bytes()


def update(**more: Any) -> bytes:
    return json.dumps({"update_id": 1, **more}).encode()


def message(words: str | None = "hi", **more: Any) -> dict[str, Any]:
    """A message in a private chat, unless told otherwise."""
    person = {"id": 5, "is_bot": False, "first_name": "Ana"}
    content = {} if words is None else {"text": words}
    return {
        "message_id": 9,
        "from": person,
        "chat": {"id": 5, "type": "private"},
        "date": 1750030001,
        **content,
        **more,
    }


GROUP = {"id": -100, "type": "supergroup", "title": "Club"}


def read(**fields: Any) -> InboundMessage:
    [item] = parse(update(**fields))
    check_item(item)
    assert item.message is not None, item.ignored
    return item.message


@pytest.mark.parametrize("case", CASES, ids=[case["file"] for case in CASES])
def test_recorded_payload(case: dict[str, Any]) -> None:
    items = parse(payload(case["file"]))
    for item in items:
        check_item(item)
    [event] = case["expected"]["events"]
    if event["kind"] in {"ignored", "other", "account"} or case["file"] in OTHERWISE:
        [item] = items
        assert item.ignored
        assert item.kind == ("account" if event["kind"] == "account" else "other")
        assert item.external_id == event["dedupe_key"]
    elif "targets" in event:
        check_deletions(items, event)
    else:
        [item] = items
        check(item, event)


def check(item: Item, event: dict[str, Any]) -> None:
    assert item.account_id is None
    found = item.message
    assert found is not None, item.ignored
    assert (item.kind, found.kind) == kinds(event)
    own = event["kind"] in {"message", "system", "unsupported", "echo"}
    assert item.external_id == (own_id(event, event["external_id"]) if own else event["dedupe_key"])
    check_sender(found, event)
    check_relations(found, event)
    sent_at = event.get("edited_at") or event.get("timestamp")
    assert found.sent_at == (datetime.strptime(sent_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if sent_at else None)
    check_words(found, event)
    check_attachments(found, event)
    check_extra(found.extra, event)


def kinds(event: dict[str, Any]) -> tuple[str, str]:
    """The kinds of the item and of its message."""
    subtype = event.get("subtype")
    if event["kind"] == "callback":
        return "message", "postback"
    if event["kind"] not in {"message", "echo"}:
        return event["kind"], event["kind"]
    if subtype in UNSUPPORTED:
        return "unsupported", "unsupported"
    item = event["kind"]
    if "attachments" in event:
        return item, ATTACHMENTS[event["attachments"][0]["type"]]
    special = {"web_app_data": "interactive", "contacts": "contacts"}
    kind = (
        "location" if "location" in event else "contacts" if "contacts" in event else special.get(str(subtype), "text")
    )
    return item, kind


def own_id(event: dict[str, Any], number: str) -> str:
    place = event["conversation"]
    business = event.get("business_connection")
    return f"{place}@{business}:{number}" if business else f"{place}:{number}"


def check_sender(found: InboundMessage, event: dict[str, Any]) -> None:
    if event["kind"] == "echo":
        assert (found.echo, found.sender.external_id) == (True, event["conversation"])
        return
    assert not found.echo
    wanted = str(event.get("sender", event.get("conversation")))
    if wanted == event.get("conversation") and wanted.startswith("-"):
        wanted += ":admins"  # the fixtures name the group itself
    assert found.sender.external_id == wanted
    if "sender_name" in event:
        assert (found.sender.name, found.sender.username) == (event["sender_name"], event.get("username"))


def check_relations(found: InboundMessage, event: dict[str, Any]) -> None:
    place = event.get("conversation")
    if "business_connection" in event:
        place = f"{place}@{event['business_connection']}"
    elif place and not place.startswith("-"):
        place = None
    if place == "-1009000000005":  # the only group with topics
        place = f"{place}/{event['thread']}"
    assert found.conversation_id == place
    number = event.get("target") or event.get("reaction", {}).get("target")
    related = found.reply_to if found.kind == "postback" else found.target
    assert related == (own_id(event, number) if number else None)
    if found.kind != "postback":
        assert found.reply_to == (own_id(event, event["reply_to"]) if "reply_to" in event else None)
    assert found.moved_to == event.get("new_conversation")


def check_words(found: InboundMessage, event: dict[str, Any]) -> None:
    assert found.payload == event.get("payload")
    if "command_args" in event and event["command"] == "/start":
        assert (found.text, found.extra["ref"]) == ("/start", event["command_args"])
    elif found.kind in {"system", "unsupported", "member"}:
        assert found.text
    elif found.kind == "postback":
        assert found.text in {None, "Yes"}
    elif found.kind == "reaction":
        assert found.text == ("".join(event["reaction"]["new"]) or None)
    else:
        assert found.text == (event.get("text") or event.get("emoji"))


def check_attachments(found: InboundMessage, event: dict[str, Any]) -> None:
    wanted = [
        (ATTACHMENTS[item["type"]], item["id"], item.get("filename"), item.get("size"))
        for item in event.get("attachments", [])
    ]
    assert [(item.kind, item.external_id, item.filename, item.size) for item in found.attachments] == wanted
    for file, item in zip(found.attachments, event.get("attachments", []), strict=True):
        assert file.media_type == item.get("mime", file.media_type)
        assert found.extra.get("duration") == item.get("duration")


def check_extra(extra: dict[str, Any], event: dict[str, Any]) -> None:
    for name, key in (
        ("forwarded", "forwarded"),
        ("media_group", "media_group_id"),
        ("quote", "quote"),
        ("external_reply", "external_reply"),
        ("thread", "thread"),
        ("command", "command"),
        ("command_args", "command_args"),
        ("business_connection", "business_connection"),
        ("location", "location"),
        ("contacts", "contacts"),
        ("inline_message_id", "inline_message_id"),
        ("blocked", "blocked"),
        ("new_status", "status"),
    ):
        assert extra.get(key) == event.get(name)
    assert bool(extra.get("removed")) == event.get("reaction", {}).get("removed", False)
    if event["kind"] == "member":
        assert extra["before"] == event["old_status"]
    if event["kind"] == "callback":
        assert extra["callback_query_id"] == event["external_id"]
    if event["kind"] == "system":
        assert extra["type"] == event["subtype"]
    if "members" in event:
        assert extra["members"] == event["members"]


def check_deletions(items: list[Item], event: dict[str, Any]) -> None:
    assert [item.kind for item in items] == ["delete"] * len(event["targets"])
    assert len({item.external_id for item in items}) == len(items)
    found = [item.message.target for item in items if item.message]
    assert found == [own_id(event, number) for number in event["targets"]]


def test_the_label_of_a_tapped_button_is_its_text() -> None:
    [item] = parse(payload("callback_query_message_button.json"))
    assert item.message is not None
    assert (item.message.text, item.message.payload) == ("Yes", "confirm:1")


@pytest.mark.parametrize(
    ("fields", "addressed"),
    [
        ({"text": "/help"}, True),
        ({"text": "anyone here?"}, False),
        ({"text": "/ or not"}, False),
        ({"reply_to_message": {"message_id": 1, "from": {"id": 7, "is_bot": True}}}, True),
        ({"reply_to_message": {"message_id": 1, "from": {"id": 7, "is_bot": False}}}, False),
        (
            {"reply_to_message": {"message_id": 1, "from": {"id": 7, "is_bot": True}, "forum_topic_created": {}}},
            False,
        ),
        ({"text": "👨‍👩‍👧 @shop_bot?", "entities": [{"type": "mention", "offset": 9, "length": 9}]}, True),
        ({"text": "@ana hello", "entities": [{"type": "mention", "offset": 0, "length": 4}]}, False),
        ({"entities": [{"type": "text_mention", "offset": 0, "length": 2, "user": {"id": 7, "is_bot": True}}]}, True),
        ({"entities": [{"type": "mention", "offset": 10**6, "length": 2}]}, False),
    ],
)
def test_words_to_the_bot_in_a_group(fields: dict[str, Any], addressed: bool) -> None:
    assert read(message=message(chat=GROUP, **({"text": "hi"} | fields))).addressed is addressed


def message_fields(**fields: Any) -> dict[str, Any]:
    return message(None, **fields)


@pytest.mark.parametrize(
    ("content", "kind", "attachment"),
    [
        ({"animation": {"file_id": "a"}, "document": {"file_id": "b"}}, "video", "a"),
        ({"live_photo": {"file_id": "v"}, "photo": [{"file_id": "p", "width": 1, "height": 1}]}, "image", "p"),
        ({"live_photo": {"file_id": "v"}}, "video", "v"),
        (
            {"photo": [{"file_id": "s", "width": 9, "height": 9}, {"file_id": "l", "width": 10, "height": 9}]},
            "image",
            "l",
        ),
        ({"photo": [], "caption": "words"}, "text", None),
        ({"document": "broken"}, "unsupported", None),
        ({"paid_media": {}}, "unsupported", None),
        ({"hologram": {}}, "unsupported", None),
        ({"checklist": {}}, "unsupported", None),
        ({"game": {"title": "Chess"}}, "unsupported", None),
        ({"web_app_data": {}}, "unsupported", None),
        ({"new_chat_title": "x"}, "system", None),
    ],
)
def test_content_is_counted_once(content: dict[str, Any], kind: str, attachment: str | None) -> None:
    found = read(message=message_fields(**content))
    assert found.kind == kind
    assert found.text or found.attachments
    assert [file.external_id for file in found.attachments] == ([attachment] if attachment else [])


def test_own_number_is_marked() -> None:
    card = {"phone_number": "+12025550123", "first_name": "Ana", "user_id": 5}
    assert read(message=message_fields(contact=card)).extra["own_number"] is True
    assert "own_number" not in read(message=message_fields(contact=card | {"user_id": 6})).extra


def test_links_behind_words_are_kept() -> None:
    entities = [{"type": "text_link", "offset": 0, "length": 2, "url": "https://shop.example/"}, {"type": "bold"}]
    assert read(message=message(entities=entities)).extra["links"] == ["https://shop.example/"]


def test_a_topic_is_a_conversation_of_its_own() -> None:
    found = read(message=message(chat=GROUP, is_topic_message=True, message_thread_id=4))
    assert (found.conversation_id, found.external_id) == ("-100/4", "-100:9")


def test_a_reply_outside_topics_stays_in_the_group() -> None:
    found = read(message=message(chat=GROUP, message_thread_id=4, reply_to_message={"message_id": 4}))
    assert (found.conversation_id, found.reply_to) == ("-100", "-100:4")


def test_business_chats_are_numbered_apart_from_the_bots_own() -> None:
    own = read(message=message())
    business = read(business_message=message(business_connection_id="C1"))
    assert (own.external_id, own.conversation_id) == ("5:9", None)
    assert (business.external_id, business.conversation_id) == ("5@C1:9", "5@C1")
    assert business.addressed


def test_the_bots_own_words_in_a_business_chat_are_a_status() -> None:
    spoken = message(business_connection_id="C1", sender_business_bot={"id": 1}) | {"from": {"id": 2}}
    [item] = parse(update(business_message=spoken))
    assert item.status is not None
    assert (item.status.external_id, item.status.status) == ("5@C1:9", DeliveryStatus.SENT)


def test_an_edit_is_a_delivery_of_its_own() -> None:
    first, second = (parse(json.dumps({"update_id": n, "edited_message": message()}).encode())[0] for n in (1, 2))
    assert first.external_id != second.external_id
    assert first.message
    assert second.message
    assert first.message.target == second.message.target == "5:9"


@pytest.mark.parametrize(
    ("before", "after", "text", "removed"),
    [
        ([], ["👍"], "👍", False),
        (["👍"], ["❤"], "❤", False),
        (["👍", "❤"], ["❤"], "❤", False),
        (["👍"], ["👍", "🎉"], "🎉", False),
        (["👍"], [], None, True),
    ],
)
def test_reactions_come_as_whole_sets(before: list[str], after: list[str], text: str | None, removed: bool) -> None:
    sets = [[{"type": "emoji", "emoji": emoji} for emoji in emojis] for emojis in (before, after)]
    change = {"chat": {"id": 5, "type": "private"}, "message_id": 4, "user": {"id": 5}, "date": 1}
    found = read(message_reaction={**change, "old_reaction": sets[0], "new_reaction": sets[1]})
    assert (found.text, found.target) == (text, "5:4")
    assert found.extra.get("removed", False) is removed


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff\xfe", b'"\\ud800"', b"[" * 200_000], ids=range(7))
def test_unreadable_body(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(body)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"message": None},
        {"message": {}},
        {"message": message() | {"chat": 7}},
        {"message": message() | {"message_id": "nine"}},
        {"edited_message": {}},
        {"callback_query": {}},
        {"message_reaction": {"chat": {"id": 1}}},
        {"my_chat_member": {"chat": {"id": 1}, "from": {"id": 1}}},
        {"deleted_business_messages": {"chat": {"id": 1}, "message_ids": ["x"]}},
        {"business_connection": {}},
        {"edited_channel_post": 7},
    ],
)
def test_what_cannot_be_understood_is_accounted_for(broken: dict[str, Any]) -> None:
    [item] = parse(update(**broken))
    check_item(item)
    assert item.ignored
    assert parse(update(**broken))[0].external_id == item.external_id


def test_a_body_with_two_updates_loses_neither() -> None:
    items = parse(update(message=message(), surprise={}, message_reaction={}))
    assert [item.kind for item in items] == ["message", "other", "malformed"]
    assert len({item.external_id for item in items}) == 3


_LEAVES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}) | st.just([{}])
)


@settings(max_examples=300, deadline=None)
@given(file=st.sampled_from([case["file"] for case in CASES]), seed=st.integers(0, 2**32), value=_LEAVES)
def test_any_change_of_a_real_update_is_read(file: str, seed: int, value: Any) -> None:
    """Each update stays accounted for whatever stands in one of its places."""
    document = json.loads(payload(file))
    dice = random.Random(seed)
    node: Any = document
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = dice.choice(list(keys))
        if not isinstance(node[key], dict | list) or not node[key] or dice.random() < 0.2:
            break
        node = node[key]
    changed = copy.deepcopy(value)
    if dice.random() < 0.3 and isinstance(node, dict):
        del node[key]
    else:
        node[key] = changed
    items = parse(json.dumps(document).encode())
    assert items
    for item in items:
        check_item(item)
