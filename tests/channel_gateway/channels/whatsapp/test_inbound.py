"""Each recorded payload gives what it must; what is broken never takes its neighbours along."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from packages.core.domain.messages import DeliveryStatus, InboundMessage, StatusUpdate
from services.channel_gateway.channels import Item, Unreadable
from services.channel_gateway.channels.whatsapp.inbound import parse
from tests.channel_gateway.channels.whatsapp.webhooks import change, text_message
from tests.contracts.channel import check_item

HERE = Path(__file__).parent
CASES = json.loads((HERE / "expected.json").read_text())
KINDS = {
    "button": "postback",
    "order": "interactive",
    "reaction": "reaction",
    "edit": "edit",
    "revoke": "delete",
    "system": "system",
    "media_placeholder": "unsupported",
}
IGNORED = {"template", "account", "channel_error", "contact_sync"}
HELD = "131047"
DASHBOARD = "0"

# Where a fixture and the product differ, and why.
DEVIATIONS = {
    "status_failed_131047_outside_window.json": "failed for the closed window: held, for it may go later",
    "history_chunk.json": "a placeholder has an id of its own, lest the file that follows pass for its repeat",
    "dashboard_test_button.json": "a test of the dashboard is acknowledged and ignored, as its disposition says",
    "call_connect_user_initiated.json": "each step of a call is an event of its own, so its id names the step",
    "call_status_ringing.json": "the same; the person is its recipient",
    "status_delivered_unknown_message.json": "whose id it is, only the keeper of messages knows: it is ignored there",
}


def payload(file: str) -> bytes:
    return (HERE / "payloads" / file).read_bytes()


@pytest.mark.parametrize("case", CASES, ids=[case["file"] for case in CASES])
def test_recorded_payload(case: dict[str, Any]) -> None:
    items = parse(payload(case["file"]))
    expected = case["expected"]["events"]
    assert len(items) == case["expected"]["count"]
    for item, event in zip(items, expected, strict=True):
        check_item(item)
        if event["business_account"] == DASHBOARD:
            assert (item.kind, item.account_id) == ("other", None)
            assert item.ignored
        else:
            check(item, event)


def test_every_recorded_payload_is_described() -> None:
    assert {case["file"] for case in CASES} == {path.name for path in (HERE / "payloads").glob("*.json")}
    assert DEVIATIONS.keys() <= {case["file"] for case in CASES}


def check(item: Item, event: dict[str, Any]) -> None:
    """Compare an item with the description of what the payload holds."""
    assert item.account_id == event.get("channel_account")
    if event["kind"] == "status":
        assert item.status is not None
        check_status(item, item.status, event)
        return
    if event["kind"] in IGNORED:
        assert item.kind == event["kind"]
        assert item.ignored
        assert event.get("template", "") in item.ignored
        return
    assert item.message is not None
    if event["kind"] in {"call", "group", "preference"}:
        check_event(item.message, event)
        return
    assert item.kind == ("echo" if is_echo(event) else event["kind"])
    check_message(item.message, event)


def is_echo(event: dict[str, Any]) -> bool:
    return event["kind"] == "echo" or event.get("direction") == "outbound"


def check_event(message: InboundMessage, event: dict[str, Any]) -> None:
    assert message.kind == event["kind"]
    assert message.text
    assert message.sent_at == moment(event["timestamp"])
    assert message.conversation_id == event.get("conversation")
    if "sender" in event:
        assert message.sender.external_id == event["sender"]
    if event["kind"] == "call":
        assert message.extra["call_id"] == event["external_id"]
        assert message.external_id == f"{event['external_id']}:{event['subtype'].removeprefix('status.')}"
    if event["kind"] == "preference":
        assert (message.extra["category"], message.extra["value"]) == (event["category"], event["value"])
    if event["kind"] == "group":
        assert message.extra["type"] == event["subtype"]


def check_message(message: InboundMessage, event: dict[str, Any]) -> None:
    placeholder = event["subtype"] == "media_placeholder"
    assert message.external_id == event["external_id"] + (":placeholder" if placeholder else "")
    assert message.kind == message_kind(event)
    assert (message.echo, message.historic) == (is_echo(event), event.get("historic", False))
    check_sender(message, event)
    assert message.sent_at == moment(event.get("timestamp"))
    assert message.reply_to == event.get("reply_to")
    assert message.target == (event.get("target") or event.get("reaction", {}).get("target"))
    if not placeholder:
        assert message.text == (event.get("text") or event.get("reaction", {}).get("emoji"))
    assert message.payload == event.get("payload")
    assert message.moved_to == (event.get("new_sender") or event.get("new_sender_user_id"))
    check_attachments(message, event)
    check_extra(message.extra, event)


def message_kind(event: dict[str, Any]) -> str:
    if event["kind"] == "unsupported":
        return "unsupported"
    name = event["subtype"].partition(".")[0]
    return str(KINDS.get(name, name))


def check_sender(message: InboundMessage, event: dict[str, Any]) -> None:
    sender = message.sender
    if is_echo(event):
        assert sender.external_id == event["conversation"]
        return
    assert sender.external_id == event["sender"]
    ids = event.get("sender_ids", {"phone": event["sender"]})
    assert {sender.external_id, *sender.alternative_ids} == set(ids.values())
    assert (sender.name, sender.username) == (event.get("sender_name"), event.get("username"))
    group = event["conversation"] if event.get("conversation_type") == "group" else None
    assert message.conversation_id == group


def check_attachments(message: InboundMessage, event: dict[str, Any]) -> None:
    found = [(a.kind, a.external_id, a.media_type, a.filename, a.url) for a in message.attachments]
    wanted = [
        (a["type"], a.get("id"), a.get("mime"), a.get("filename"), a.get("url")) for a in event.get("attachments", [])
    ]
    assert found == wanted


def check_extra(extra: dict[str, Any], event: dict[str, Any]) -> None:
    assert extra.get("forwarded") == event.get("forwarded")
    for key in ("referred_product", "form", "new_sender", "new_sender_user_id"):
        assert extra.get(key) == event.get(key)
    assert [card.get("phones") for card in extra.get("contacts", [])] == [
        card.get("phones") for card in event.get("contacts", [])
    ]
    for name in ("location", "referral"):
        for key, value in event.get(name, {}).items():
            assert extra[name][key] == value
    if "order" in event:
        assert extra["order"]["catalog_id"] == event["order"]["catalog_id"]
        skus = [line["product_retailer_id"] for line in extra["order"]["product_items"]]
        assert skus == [line["sku"] for line in event["order"]["items"]]
    if "errors" in event:
        assert [error["code"] for error in extra["errors"]] == event["errors"]
    assert bool(extra.get("removed")) == event.get("reaction", {}).get("removed", False)


def check_status(item: Item, status: StatusUpdate, event: dict[str, Any]) -> None:
    participant = f":{event['participant']}" if "participant" in event else ""
    assert item.external_id == f"{event['external_id']}:{event['status']}{participant}"
    wanted = DeliveryStatus.READ if event["status"] == "played" else DeliveryStatus(event["status"])
    if status.error_code == HELD:
        wanted = DeliveryStatus.HELD
    assert (status.external_id, status.status) == (event["external_id"], wanted)
    assert status.recipient == event.get("recipient")
    assert status.correlation_id == event.get("tracker")
    assert status.at == moment(event["timestamp"])
    assert status.error_code == (str(event["errors"][0]) if "errors" in event else None)
    assert bool(status.error_message) == ("errors" in event)


def moment(text: str | None) -> datetime | None:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if text else None


@pytest.mark.parametrize(
    "broken",
    [
        {"from": "12025550123"},
        text_message("wamid.x", text={"body": 7}),
        text_message("wamid.x", **{"from": {}}),
        text_message("wamid.x", **{"from": None}),
        "not an object",
        None,
        7,
    ],
)
def test_broken_message_does_not_block_its_neighbours(broken: Any) -> None:
    items = parse(change(messages=[text_message("wamid.1"), broken, text_message("wamid.2")]))
    assert [item.external_id for item in items if item.message] == ["wamid.1", "wamid.2"]
    assert items[1].kind == "malformed"
    assert items[1].ignored


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff\xfe", b'"\\ud800"', b"[" * 200_000], ids=range(7))
def test_unreadable_body(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(body)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"entry": 7}', b'{"entry": [7]}', b'{"entry": [{"changes": [{"field": 1}]}]}', change()]
)
def test_readable_body_without_items_is_still_accounted_for(body: bytes) -> None:
    (item,) = parse(body)
    assert item.ignored
    assert item.account_id in {None, "200000000000201"}


def test_ids_of_ignored_items_are_the_same_on_a_repeat() -> None:
    body = payload("template_status_rejected.json")
    assert parse(body)[0].external_id == parse(body)[0].external_id


@pytest.mark.parametrize("timestamp", ["", "soon", "99999999999999999999", None, -1])
def test_odd_timestamp_is_no_reason_to_refuse(timestamp: str | int | None) -> None:
    (item,) = parse(change(messages=[text_message("wamid.1", timestamp=timestamp)]))
    assert item.message is not None
    assert item.message.text == "hi"


def test_unknown_status_is_ignored_with_a_reason() -> None:
    (item,) = parse(change(statuses=[{"id": "wamid.1", "status": "teleported"}]))
    assert item.status is None
    assert item.ignored is not None
    assert "teleported" in item.ignored


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (131047, DeliveryStatus.HELD, "24 hours"),
        (131026, DeliveryStatus.FAILED, "cannot be reached"),
        (131049, DeliveryStatus.FAILED, "marketing"),
        (131042, DeliveryStatus.FAILED, "payment"),
        (999_999, DeliveryStatus.FAILED, "Odd: Very odd"),
    ],
)
def test_failed_status_explains_itself(code: int, status: DeliveryStatus, words: str) -> None:
    error = {"code": code, "title": "Odd", "error_data": {"details": "Very odd"}}
    (item,) = parse(change(statuses=[{"id": "wamid.1", "status": "failed", "errors": [error]}]))
    assert item.status is not None
    assert (item.status.status, item.status.error_code) == (status, str(code))
    assert words in (item.status.error_message or "")


def test_one_unreached_member_does_not_fail_a_groups_message() -> None:
    status = {"id": "wamid.1", "status": "failed", "recipient_participant_id": "12025550124"}
    (item,) = parse(change(statuses=[{**status, "errors": [{"code": 131026}]}]))
    assert item.status is None
    assert "one member of the group" in (item.ignored or "")


@pytest.mark.parametrize(
    ("more", "addressed"),
    [
        ({}, False),
        ({"group_id": "Y2Fw"}, False),
        ({"group_id": "Y2Fw", "context": {"id": "wamid.0", "from": "12025550100"}}, True),
        ({"group_id": "Y2Fw", "context": {"id": "wamid.0", "from": "200000000000201"}}, True),
        ({"group_id": "Y2Fw", "context": {"id": "wamid.0", "from": "12025550199"}}, False),
        ({"group_id": "Y2Fw", "text": {"body": "hey @12025550100"}}, True),
        ({"context": {"id": "wamid.0", "from": "12025550100"}}, False),
    ],
)
def test_addressed_in_a_group(more: dict[str, Any], addressed: bool) -> None:
    (item,) = parse(change(messages=[text_message("wamid.1", **more)]))
    assert item.message is not None
    assert item.message.addressed is addressed
    assert item.message.conversation_id == more.get("group_id")


def test_file_that_the_platform_could_not_take_is_explained() -> None:
    image = {"from": "12025550123", "id": "wamid.1", "type": "image", "errors": [{"code": 131052, "title": "x"}]}
    (item,) = parse(change(messages=[image]))
    assert item.message is not None
    assert item.message.kind == "unsupported"
    assert item.message.extra["explanation"] == "WhatsApp could not load the customer's file."


def test_flow_answer_that_is_no_json_is_kept() -> None:
    reply = {"type": "nfm_reply", "nfm_reply": {"body": "Sent", "response_json": "{oops"}}
    (item,) = parse(change(messages=[text_message("wamid.1", type="interactive", interactive=reply)]))
    assert item.message is not None
    assert item.message.extra["form"] == {"unreadable": "{oops"}


def test_thousand_messages_of_as_many_people_are_read_quickly() -> None:
    people = [str(12_025_550_000 + number) for number in range(1000)]
    contacts = [{"wa_id": person, "profile": {"name": person}} for person in people]
    messages = [text_message(f"wamid.{person}", **{"from": person}) for person in people]
    body = change(contacts=contacts, messages=messages)
    started = time.process_time()
    items = parse(body)
    assert time.process_time() - started < 0.5
    assert [item.message.sender.name for item in items if item.message] == people
