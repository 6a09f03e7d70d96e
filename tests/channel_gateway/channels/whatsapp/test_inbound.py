"""Each recorded payload gives what it must; what is broken never takes its neighbours along."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from packages.core.domain.messages import DeliveryStatus, InboundMessage, StatusUpdate
from services.channel_gateway.channels import Item, Unreadable
from services.channel_gateway.channels.whatsapp.inbound import parse

HERE = Path(__file__).parent
CASES = json.loads((HERE / "expected.json").read_text())
AS_MESSAGE = {"message", "reaction", "edit", "delete", "system", "unsupported"}
KINDS = {
    "button": "postback",
    "order": "interactive",
    "reaction": "reaction",
    "edit": "edit",
    "revoke": "delete",
    "system": "system",
}


def payload(file: str) -> bytes:
    return (HERE / "payloads" / file).read_bytes()


@pytest.mark.parametrize("case", CASES, ids=[case["file"] for case in CASES])
def test_recorded_payload(case: dict[str, Any]) -> None:
    items = parse(payload(case["file"]))
    expected = case["expected"]["events"]
    assert len(items) == case["expected"]["count"]
    for item, event in zip(items, expected, strict=True):
        check(item, event)


def check(item: Item, event: dict[str, Any]) -> None:
    """Compare an item with the description of what the payload holds."""
    assert item.account_id == event.get("channel_account")
    if event["kind"] == "status":
        assert item.status is not None
        check_status(item, item.status, event)
    elif event["kind"] in AS_MESSAGE and not event.get("historic") and event.get("direction") != "outbound":
        assert item.kind == event["kind"]
        assert item.message is not None
        check_message(item.message, event)
    else:
        assert item.ignored
        assert (item.message, item.status) == (None, None)
        assert item.kind == ignored_kind(event)
        if item.kind in {"echo", "history"}:
            assert item.external_id == f"{item.kind}:{event['external_id']}"


def ignored_kind(event: dict[str, Any]) -> str:
    if event.get("historic"):
        return "history"
    return "echo" if event.get("direction") == "outbound" else str(event["kind"])


def check_message(message: InboundMessage, event: dict[str, Any]) -> None:
    assert message.external_id == event["external_id"]
    assert message.kind == message_kind(event)
    check_sender(message, event)
    assert message.sent_at == moment(event.get("timestamp"))
    assert message.reply_to == event.get("reply_to")
    assert message.target == (event.get("target") or event.get("reaction", {}).get("target"))
    assert message.text == (event.get("text") or event.get("reaction", {}).get("emoji"))
    assert message.payload == event.get("payload")
    check_attachments(message, event)
    check_extra(message.extra, event)


def message_kind(event: dict[str, Any]) -> str:
    if event["kind"] == "unsupported":
        return "unsupported"
    name = event["subtype"].partition(".")[0]
    return str(KINDS.get(name, name))


def check_sender(message: InboundMessage, event: dict[str, Any]) -> None:
    sender = message.sender
    assert sender.external_id == event["sender"]
    assert {sender.external_id, *sender.alternative_ids} == set(event["sender_ids"].values())
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
    assert (status.external_id, status.status) == (event["external_id"], wanted)
    assert status.recipient == event.get("recipient")
    assert status.correlation_id == event.get("tracker")
    assert status.at == moment(event["timestamp"])
    assert status.error_code == (str(event["errors"][0]) if "errors" in event else None)
    assert bool(status.error_message) == ("errors" in event)


def moment(text: str | None) -> datetime | None:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if text else None


def change(**value: Any) -> bytes:
    """A body with one change of the field `messages`."""
    metadata = {"phone_number_id": "200000000000201"}
    entry = {"id": "1", "changes": [{"field": "messages", "value": {"metadata": metadata, **value}}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def text_message(wamid: str, **more: Any) -> dict[str, Any]:
    return {"from": "12025550123", "id": wamid, "type": "text", "text": {"body": "hi"}, **more}


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
