"""What happens beside people's messages: echoes, history, wishes, calls, groups, and the account's own events."""

import json
from typing import Any

import pytest

from packages.core.domain.messages import InboundMessage
from services.channel_gateway.channels import Item
from services.channel_gateway.channels.whatsapp.inbound import parse
from tests.channel_gateway.channels.whatsapp.webhooks import NUMBER, NUMBER_ID, change, text_message
from tests.contracts.channel import check_item

CUSTOMER = "12025550123"
USER = "US.10000000000000000001"
GROUP = "Y2FwaV9ncm91cDox"


def message(field: str, **value: Any) -> InboundMessage:
    """The message of the only item of a change."""
    (item,) = parse(change(field, **value))
    check_item(item)
    assert item.message is not None, item.ignored
    return item.message


def echo(**more: Any) -> dict[str, Any]:
    return {"from": NUMBER, "to": CUSTOMER, "id": "wamid.1", "timestamp": "1697043223", **more}


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        ({"type": "text", "text": {"body": "On its way"}}, "text", "On its way"),
        ({"type": "image", "image": {"id": "9", "caption": "Look"}}, "image", "Look"),
        ({"type": "edit", "edit": {"original_message_id": "wamid.0", "message": {}}}, "edit", None),
        ({"type": "reaction", "reaction": {"message_id": "wamid.0", "emoji": "👍"}}, "reaction", "👍"),
    ],
)
def test_echo_is_the_brands_own_message(content: dict[str, Any], kind: str, text: str | None) -> None:
    (item,) = parse(change("smb_message_echoes", message_echoes=[echo(**content)]))
    assert item.kind == "echo"
    assert item.message is not None
    assert (item.message.echo, item.message.kind, item.message.text) == (True, kind, text)
    assert item.message.sender.external_id == CUSTOMER


def test_echo_to_a_person_without_a_number() -> None:
    own = echo(type="text", text={"body": "x"}, to_user_id=USER)
    del own["to"]
    assert message("smb_message_echoes", message_echoes=[own]).sender.external_id == USER


def test_echo_to_nobody_is_malformed_and_leaves_its_sibling_alone() -> None:
    nobodys = echo(type="text", text={"body": "x"}, to=None)
    items = parse(change("smb_message_echoes", message_echoes=[nobodys, 7, echo(type="text", text={"body": "y"})]))
    assert [item.kind for item in items] == ["malformed", "malformed", "echo"]


def old(sender: str, wamid: str, **more: Any) -> dict[str, Any]:
    return {"from": sender, "id": wamid, "type": "text", "text": {"body": "old"}, **more}


def test_history_tells_both_sides_apart() -> None:
    thread = {"id": CUSTOMER, "messages": [old(CUSTOMER, "wamid.1"), old(NUMBER, "wamid.2"), "broken"]}
    theirs, ours, broken = parse(change("history", history=[{"threads": [thread]}]))
    assert theirs.message is not None
    assert ours.message is not None
    assert (theirs.message.historic, ours.message.historic) == (True, True)
    assert (theirs.message.echo, ours.message.echo) == (False, True)
    assert theirs.message.sender.external_id == ours.message.sender.external_id == CUSTOMER
    assert broken.kind == "malformed"


def test_history_of_a_person_without_a_number() -> None:
    thread = {"id": None, "context": {"user_id": USER}, "messages": [old(NUMBER, "wamid.2")]}
    assert message("history", history=[{"threads": [thread]}]).sender.external_id == USER


def test_file_of_the_past_is_not_a_repeat_of_its_placeholder() -> None:
    placeholder = {"from": CUSTOMER, "id": "wamid.1", "type": "media_placeholder"}
    first = message("history", history=[{"threads": [{"id": CUSTOMER, "messages": [placeholder]}]}])
    image = {"from": CUSTOMER, "id": "wamid.1", "type": "image", "image": {"id": "9"}}
    second = message("history", messages=[image])
    assert first.external_id != second.external_id == "wamid.1"
    assert second.historic
    assert second.attachments[0].external_id == "9"


def test_declined_history_says_so() -> None:
    error = {"code": 2593109, "title": "History sync is turned off by the business"}
    (item,) = parse(change("history", history=[{"errors": [error]}]))
    assert item.kind == "account"
    assert "turned off" in (item.ignored or "")


def test_marketing_stop() -> None:
    wish = {"wa_id": CUSTOMER, "user_id": USER, "category": "marketing_messages", "value": "stop", "timestamp": 1}
    found = message("user_preferences", user_preferences=[wish])
    assert (found.kind, found.sender.external_id, found.sender.alternative_ids) == ("preference", CUSTOMER, (USER,))
    assert found.text == "The customer does not want marketing messages any more."
    assert found.external_id == message("user_preferences", user_preferences=[wish]).external_id


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ({"event": "connect", "direction": "USER_INITIATED"}, "The customer is calling."),
        ({"event": "terminate", "duration": 42}, "The call has ended after 42 seconds."),
        ({"event": "terminate", "status": "Failed"}, "The call has ended without being answered."),
        ({"event": "hold"}, "Call: hold."),
    ],
)
def test_call(call: dict[str, Any], text: str) -> None:
    found = message("calls", calls=[{"id": "wacid.1", "from": CUSTOMER, "to": NUMBER, **call}])
    assert (found.kind, found.text, found.sender.external_id) == ("call", text, CUSTOMER)
    assert found.external_id == f"wacid.1:{call['event']}"


def test_own_call_is_about_the_one_who_is_called() -> None:
    call = {"id": "wacid.1", "from": NUMBER, "to": CUSTOMER, "event": "connect", "direction": "BUSINESS_INITIATED"}
    assert message("calls", calls=[call]).sender.external_id == CUSTOMER


def test_status_of_a_call_is_not_one_of_a_message() -> None:
    status = {"id": "wacid.1", "type": "call", "status": "ACCEPTED", "recipient_id": CUSTOMER}
    found = message("calls", statuses=[status])
    assert (found.kind, found.extra["status"]) == ("call", "ACCEPTED")


@pytest.mark.parametrize(
    ("group", "sender", "words"),
    [
        ({"type": "group_create", "subject": "Trip"}, GROUP, "The group 'Trip' was made."),
        ({"type": "group_delete"}, GROUP, "The group was deleted."),
        (
            {"type": "group_participants_add", "added_participants": [{"wa_id": 12025550123}]},
            CUSTOMER,
            "Joined the group: 12025550123.",
        ),
        (
            {"type": "group_participants_remove", "removed_participants": [{"user_id": USER}]},
            USER,
            f"Left the group: {USER}.",
        ),
        ({"type": "group_join_request_created", "wa_id": CUSTOMER}, CUSTOMER, "Somebody asks to join the group."),
        ({"type": "group_settings_update", "errors": [{"title": "No"}]}, GROUP, "WhatsApp reports: No."),
        ({"type": "group_newer_thing"}, GROUP, "Group event: group_newer_thing."),
    ],
)
def test_group(group: dict[str, Any], sender: str, words: str) -> None:
    found = message("group_participants_update", groups=[{"group_id": GROUP, **group}])
    assert (found.kind, found.conversation_id, found.sender.external_id) == ("group", GROUP, sender)
    assert found.text == words


def account_event(field: str, **value: Any) -> Item:
    entry = {"id": "100000000000101", "time": 1, "changes": [{"field": field, "value": value}]}
    (item,) = parse(json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode())
    return item


@pytest.mark.parametrize(
    ("field", "value", "kind", "words"),
    [
        (
            "message_template_status_update",
            {
                "event": "REJECTED",
                "message_template_name": "cart",
                "message_template_language": "en",
                "reason": "INVALID_FORMAT",
            },
            "template",
            "The template 'cart' (en) was rejected (reason: INVALID_FORMAT).",
        ),
        (
            "message_template_quality_update",
            {"message_template_name": "cart", "previous_quality_score": "GREEN", "new_quality_score": "RED"},
            "template",
            "has the quality RED, before it was GREEN",
        ),
        ("account_update", {"event": "ACCOUNT_RESTRICTION"}, "account", "WhatsApp has restricted the business account"),
        ("account_update", {"event": "NEW_THING"}, "account", "the event NEW_THING"),
        ("account_review_update", {"decision": "REJECTED"}, "account", "REJECTED"),
        ("account_alerts", {"alert_info": {"alert_type": "OBA_APPROVED", "alert_severity": "INFO"}}, "account", "OBA"),
        ("phone_number_quality_update", {"event": "DOWNGRADE", "current_limit": "TIER_1K"}, "account", "TIER_1K now"),
        ("phone_number_name_update", {"decision": "DEFERRED", "requested_verified_name": "X"}, "account", "deferred"),
        ("business_capability_update", {"max_daily_conversation_per_phone": 250}, "account", "250 people a day"),
        ("security", {"event": "PIN_CHANGED"}, "account", "PIN_CHANGED"),
        ("payment_configuration_update", {"configuration_name": "pay", "status": "X"}, "account", "'pay' is X"),
        ("account_settings_update", {"type": "phone_number_settings"}, "account", "phone_number_settings"),
        ("something_new", {}, "other", "'something_new' are not handled"),
    ],
)
def test_account_event_in_plain_words(field: str, value: dict[str, Any], kind: str, words: str) -> None:
    item = account_event(field, **value)
    assert (item.kind, item.account_id) == (kind, None)
    assert words in (item.ignored or "")


@pytest.mark.parametrize("field", ["smb_message_echoes", "history", "user_preferences", "calls", "group_status_update"])
@pytest.mark.parametrize("value", [{}, {"message_echoes": [], "messages": [], "calls": 7, "groups": {}}])
def test_change_without_content_is_accounted_for(field: str, value: dict[str, Any]) -> None:
    (item,) = parse(change(field, **value))
    assert item.ignored
    assert item.account_id == NUMBER_ID


def test_system_event_moves_the_conversation() -> None:
    system = {"type": "user_changed_number", "body": "moved", "wa_id": "12025550158", "user_id": USER}
    found = message("messages", messages=[text_message("wamid.1", type="system", system=system)])
    assert (found.kind, found.moved_to) == ("system", "12025550158")
    identity = {"type": "customer_identity_changed", "body": "new key"}
    raw = text_message("wamid.2", type="system", system=identity, identity={"hash": "x"})
    found = message("messages", messages=[raw])
    assert (found.moved_to, found.extra["identity"]) == (None, {"hash": "x"})
