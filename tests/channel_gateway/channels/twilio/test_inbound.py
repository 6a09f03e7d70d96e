"""Each recorded webhook gives what it must."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from packages.core.domain.messages import DeliveryStatus, InboundMessage
from services.channel_gateway.channels import Item, Unreadable
from services.channel_gateway.channels.twilio.inbound import parse
from tests.channel_gateway.channels.twilio.conftest import (
    WEBHOOK,
    cases,
    recorded_webhook,
    signed,
    webhook,
)

CASES = cases("expected")
# What differs from the description, on purpose.
DEVIATIONS: dict[str, dict[str, Any]] = {
    # No caption was written: the words are the file's name, and stand there.
    "whatsapp_document_forwarded.json": {"text": None, "filename": "contract_signed.pdf"},
    # An answer about calls is no text, and nothing to answer.
    "whatsapp_call_permission.json": {"kind": "call", "item_kind": "call", "text": None},
    # Opting in and out is an event; Twilio answers it by itself.
    "sms_opt_out_stop.json": {"kind": "preference", "item_kind": "preference"},
    "sms_opt_in_start.json": {"kind": "preference", "item_kind": "preference"},
}
# A number and a messaging service both name our side: the URL that was called decides.
TWO_NAMES = {
    "sms_text_messaging_service.json",
    "sms_opt_out_stop.json",
    "sms_opt_in_start.json",
    "status_sms_failed_21610.json",
}
KINDS = {"button": "postback", "file": "document", "contact": "document"}
STATUSES = {
    "queued": DeliveryStatus.QUEUED,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "failed": DeliveryStatus.FAILED,
    "undelivered": DeliveryStatus.FAILED,
}


def form(url: str = WEBHOOK, **fields: str) -> Item:
    """The item of one form."""
    base = {"MessageSid": "SM1", "From": "+12025550123", "To": "+12025550100"}
    [item] = parse(signed(urlencode(base | fields).encode(), url))
    return item


def message(**fields: str) -> InboundMessage:
    found = form(**fields).message
    assert found is not None
    return found


@pytest.mark.parametrize("case", CASES, ids=[case["file"] for case in CASES])
def test_recorded_webhook(case: dict[str, Any]) -> None:
    items = parse(recorded_webhook(case["file"]))
    expected, changed = case["expected"]["events"], DEVIATIONS.get(case["file"], {})
    assert len(items) == case["expected"]["count"] == 1
    account = None if case["file"] in TWO_NAMES else expected[0]["channel_account"]
    assert items[0].account_id == account
    if expected[0]["kind"] == "status":
        check_status(items[0], expected[0])
    else:
        check_message(items[0], expected[0], changed)


def check_message(item: Item, event: dict[str, Any], changed: dict[str, Any]) -> None:
    found = item.message
    assert found is not None
    assert item.kind == changed.get("item_kind", "message")
    assert found.external_id == item.external_id == event["external_id"]
    assert found.sender.external_id == event["sender"]
    assert (found.sender.name, found.sent_at) == (event.get("sender_name"), None)
    user_id = (event.get("sender_ids") or {}).get("user_id")
    known = {found.sender.external_id, *found.sender.alternative_ids}
    assert user_id is None or f"whatsapp:{user_id}" in known
    assert (
        found.text == changed.get("text", event.get("text")) if "text" in changed else event.get("text") == found.text
    )
    assert found.payload == event.get("payload")
    assert found.reply_to == event.get("reply_to")
    attachments = event.get("attachments", [])
    default = attachments[0]["type"] if attachments else "text"
    kind = changed.get("kind", event.get("subtype") or default)
    assert found.kind == KINDS.get(kind, kind)
    check_files(found, attachments, changed)
    check_extra(found.extra, event)


def check_files(found: InboundMessage, attachments: list[dict[str, Any]], changed: dict[str, Any]) -> None:
    assert [(file.url, file.media_type) for file in found.attachments] == [(a["url"], a["mime"]) for a in attachments]
    for file, wanted in zip(found.attachments, attachments, strict=True):
        assert file.kind == ("sticker" if found.kind == "sticker" else KINDS.get(wanted["type"], wanted["type"]))
        assert file.filename == changed.get("filename")


def check_extra(extra: dict[str, Any], event: dict[str, Any]) -> None:
    for key in ("forwarded", "location", "opt_out"):
        assert extra.get(key) == event.get(key)
    referral = event.get("referral") or {}
    assert {key: extra.get("referral", {}).get(key) for key in referral} == referral


def check_status(item: Item, event: dict[str, Any]) -> None:
    status = item.status
    assert status is not None
    assert (status.external_id, status.recipient) == (event["external_id"], event["recipient"])
    window = 63016 in event.get("errors", [])
    assert status.status == (DeliveryStatus.HELD if window else STATUSES[event["status"]])
    assert item.external_id.startswith(f"{event['external_id']}:{event['status']}")
    if errors := event.get("errors"):
        assert status.error_code == str(errors[0])
        assert status.error_message
        assert status.error_message.endswith(".")
    else:
        assert (status.error_code, status.error_message) == (None, None)


def test_status_names_our_message() -> None:
    item = form(f"{WEBHOOK}?message_id=0189%3A2", MessageStatus="delivered")
    assert item.status is not None
    assert item.status.correlation_id == "0189:2"


def test_status_by_get() -> None:
    url = f"{WEBHOOK}?message_id=m1&MessageSid=SM9&MessageStatus=failed&ErrorCode=30005&From=%2B12025550100&To=%2B1202"
    [item] = parse(webhook(b"", {}, url, "GET"))
    assert item.status is not None
    assert (item.status.external_id, item.status.correlation_id) == ("SM9", "m1")
    assert item.status.error_message == "The customer's number does not exist any more."
    assert "message_id" not in item.raw


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ErrorCode": "12345", "ErrorMessage": "Twilio's own words"}, "Twilio's own words"),
        ({"ErrorCode": "12345"}, "Twilio does not say why."),
        ({}, "Twilio does not say why."),
    ],
)
def test_unknown_error_says_what_twilio_says(fields: dict[str, str], words: str) -> None:
    status = form(MessageStatus="undelivered", **fields).status
    assert status is not None
    assert status.error_message == words


def test_repeated_status_has_one_id_and_other_statuses_have_others() -> None:
    ids = [form(MessageStatus=status).external_id for status in ("sent", "sent", "delivered", "failed")]
    ids.append(form(MessageStatus="failed", ErrorCode="30003").external_id)
    assert (ids[0], len(set(ids))) == (ids[1], 4)


@pytest.mark.parametrize(
    ("fields", "kind", "reason"),
    [
        ({"MessageStatus": "teleported"}, "status", "unknown status"),
        ({"MessageSid": "", "CallSid": "CA1"}, "other", "calls"),
        ({"MessageSid": "", "ConversationSid": "CH1"}, "other", "conversations"),
        ({"MessageSid": ""}, "malformed", "names no message"),
        ({"From": ""}, "malformed", "nobody sent it"),
    ],
)
def test_what_is_not_for_us_is_ignored_with_a_reason(fields: dict[str, str], kind: str, reason: str) -> None:
    item = form(**fields)
    assert item.kind == kind
    assert reason in (item.ignored or "")


def test_debugger_alert_shows_in_the_diagnosis() -> None:
    payload = json.dumps({"resource_sid": "SM1", "error_code": "63007", "more_info": {}})
    body = urlencode({"Sid": "NO1", "Level": "ERROR", "AccountSid": "AC1", "Payload": payload}).encode()
    [item] = parse(signed(body))
    assert (item.kind, item.external_id) == ("channel_error", "alert:NO1")
    assert "63007: Twilio knows no such sender" in (item.ignored or "")


@pytest.mark.parametrize(
    ("body", "media_type", "text", "filename"),
    [
        ("offer.pdf", "application/pdf", None, "offer.pdf"),
        ("My offer.pdf", "application/pdf", None, "My offer.pdf"),
        ("notes.xyz", "application/octet-stream", None, "notes.xyz"),
        ("please see offer.xyz", "application/octet-stream", "please see offer.xyz", None),
        ("offer of May.png", "application/pdf", "offer of May.png", None),
        ("Here is the offer.", "application/pdf", "Here is the offer.", None),
    ],
)
def test_caption_or_file_name(body: str, media_type: str, text: str | None, filename: str | None) -> None:
    found = message(
        MessageType="document", Body=body, NumMedia="1", MediaUrl0="https://x", MediaContentType0=media_type
    )
    assert (found.kind, found.text, found.attachments[0].filename) == ("document", text, filename)


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("image/png", "image"),
        ("video/mp4", "video"),
        ("audio/amr", "audio"),
        ("application/pdf", "document"),
        ("text/vcard", "contacts"),
        ("text/x-vcard", "contacts"),
        ("", "document"),
    ],
)
def test_first_file_names_the_kind_of_an_mms(media_type: str, kind: str) -> None:
    assert message(MediaUrl0="https://x/1", MediaContentType0=media_type).kind == kind


@pytest.mark.parametrize(("word", "kind"), [("stop", "preference"), (" STOPALL ", "preference"), ("Stop it", "text")])
def test_stop_without_advanced_opt_out(word: str, kind: str) -> None:
    assert message(Body=word).kind == kind


def test_stop_on_whatsapp_is_a_text() -> None:
    assert message(Body="STOP", From="whatsapp:+12025550123").kind == "text"


@pytest.mark.parametrize("kind", ["hologram", "image"])
def test_message_without_its_content_is_unsupported(kind: str) -> None:
    found = message(MessageType=kind)
    assert (found.kind, found.extra["type"]) == ("unsupported", kind)


def test_json_body_may_hold_several_events() -> None:
    events = [{"MessageSid": "SM1", "From": "+1202", "To": "+1303", "Body": "a"}, {"MessageSid": "SM2", "Body": "b"}]
    items = parse(webhook(json.dumps(events).encode(), {"Content-Type": "application/json"}))
    assert [(item.external_id[:3], item.kind) for item in items] == [("SM1", "message"), ("mal", "malformed")]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[1]", b"7", b'"x"', b"\xff"])
def test_json_that_is_none_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(webhook(body, {"Content-Type": "application/json"}))


def test_unknown_parameters_stay_in_the_raw_item() -> None:
    item = form(Body="hi\0", Future="x\0y")
    assert (item.raw["Future"], item.raw["Body"]) == ("xy", "hi")
