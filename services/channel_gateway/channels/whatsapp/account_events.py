"""Events of a WhatsApp account, its numbers and its templates, in plain words for the account's diagnosis."""

from collections.abc import Callable, Mapping
from typing import Any

from services.channel_gateway.channels import Item
from services.channel_gateway.channels.whatsapp.content import objects, text
from services.channel_gateway.channels.whatsapp.items import Change, ignored

_Words = Callable[[Mapping[str, Any]], str]

_ACCOUNT = {
    "ACCOUNT_DELETED": "The WhatsApp business account was deleted.",
    "ACCOUNT_OFFBOARDED": "The number was taken off the platform by its business app.",
    "ACCOUNT_RECONNECTED": "The number is connected to the platform again.",
    "ACCOUNT_RESTRICTION": "WhatsApp has restricted the business account.",
    "ACCOUNT_VIOLATION": "The business account has violated a policy of WhatsApp.",
    "DISABLED_UPDATE": "WhatsApp has disabled the business account, or taken that back.",
    "PARTNER_ADDED": "The business account was shared with a partner.",
    "PARTNER_APP_INSTALLED": "A partner's app was added to the business account.",
    "PARTNER_APP_UNINSTALLED": "A partner's app was removed from the business account.",
    "PARTNER_REMOVED": "The business account is no longer shared with the partner.",
    "VERIFIED_ACCOUNT": "The business was verified.",
}
_TEMPLATE = {
    "APPROVED": "was approved",
    "REJECTED": "was rejected",
    "PENDING": "waits for approval",
    "PAUSED": "is paused because of low quality",
    "DISABLED": "is disabled because of low quality",
    "FLAGGED": "will be disabled unless its quality improves",
    "REINSTATED": "may be sent again",
    "IN_APPEAL": "is being reviewed again",
    "PENDING_DELETION": "is being deleted",
    "DELETED": "was deleted",
    "LIMIT_EXCEEDED": "was not taken: the account has too many templates",
    "LOCKED": "cannot be edited any more",
}


def account_event(change: Change) -> Item:
    """The event of any field that holds no person's message: kind template, account or other, never an error."""
    field = change.field
    words = _FIELDS.get(field)
    if words is None:
        words = next((known for prefix, known in _PREFIXES.items() if field.startswith(prefix)), None)
    if words is None:
        return ignored(change, "other", change.whole, f"events of the field {field[:100]!r} are not handled")
    kind = "template" if "template" in field else "account"
    return ignored(change, kind, change.whole, words(change.value))


def _template(value: Mapping[str, Any]) -> str:
    return f"The template {value.get('message_template_name')!r} ({value.get('message_template_language')})"


def _template_status(value: Mapping[str, Any]) -> str:
    event = text(value.get("event")) or "changed"
    reason = text(value.get("reason"))
    because = f" (reason: {reason})" if reason and reason != "NONE" else ""
    return f"{_template(value)} {_TEMPLATE.get(event, f'has the state {event}')}{because}."


def _template_quality(value: Mapping[str, Any]) -> str:
    new, previous = value.get("new_quality_score"), value.get("previous_quality_score")
    return f"{_template(value)} has the quality {new}, before it was {previous}."


def _template_category(value: Mapping[str, Any]) -> str:
    category = value.get("new_category") or value.get("correct_category")
    return f"{_template(value)} is of the category {category} now, before it was {value.get('previous_category')}."


def _template_components(value: Mapping[str, Any]) -> str:
    return f"{_template(value)} has a new text; check its variables."


def _account(value: Mapping[str, Any]) -> str:
    event = text(value.get("event")) or "changed"
    details = [_ACCOUNT.get(event, f"The business account has the event {event}.")]
    ban, violation, restrictions = value.get("ban_info"), value.get("violation_info"), value.get("restriction_info")
    if isinstance(ban, dict):
        details.append(f"State: {ban.get('waba_ban_state')}, on {ban.get('waba_ban_date')}.")
    if isinstance(violation, dict):
        details.append(f"Kind of violation: {violation.get('violation_type')}.")
    details += [f"Restriction: {restriction.get('restriction_type')}." for restriction in objects(restrictions)]
    return " ".join(details)


def _quality(value: Mapping[str, Any]) -> str:
    limit = value.get("max_daily_conversations_per_business") or value.get("current_limit")
    return f"The number's sending limit or throughput has changed ({value.get('event')}); it is {limit} now."


def _name(value: Mapping[str, Any]) -> str:
    name, decision = value.get("requested_verified_name"), text(value.get("decision")) or "not decided"
    reason = text(value.get("rejection_reason"))
    because = f" (reason: {reason})" if reason and reason != "NONE" else ""
    return f"The display name {name!r} is {decision.lower()}{because}."


def _review(value: Mapping[str, Any]) -> str:
    return f"WhatsApp's review of the business account ended: {value.get('decision')}."


def _alert(value: Mapping[str, Any]) -> str:
    info = value.get("alert_info")
    told = info if isinstance(info, dict) else value
    description = told.get("alert_description") or ""
    return f"WhatsApp warns ({told.get('alert_severity')}): {told.get('alert_type')}. {description}".strip()


def _capability(value: Mapping[str, Any]) -> str:
    limit = value.get("max_daily_conversations_per_business") or value.get("max_daily_conversation_per_phone")
    numbers = value.get("max_phone_numbers_per_business")
    return f"The business may start conversations with {limit} people a day, and have {numbers} numbers."


def _security(value: Mapping[str, Any]) -> str:
    return f"The number's two-step verification has changed: {value.get('event')}."


def _payment(value: Mapping[str, Any]) -> str:
    return f"The payment configuration {value.get('configuration_name')!r} is {value.get('status')}."


def _changed(value: Mapping[str, Any]) -> str:
    what = text(value.get("event")) or text(value.get("type")) or "see the item"
    return f"Settings of the account have changed: {what}."


_FIELDS: Mapping[str, _Words] = {
    "message_template_status_update": _template_status,
    "message_template_quality_update": _template_quality,
    "message_template_components_update": _template_components,
    "template_category_update": _template_category,
    "template_correct_category_detection": _template_category,
    "account_update": _account,
    "account_alerts": _alert,
    "account_review_update": _review,
    "business_capability_update": _capability,
    "phone_number_quality_update": _quality,
    "phone_number_name_update": _name,
    "security": _security,
    "payment_configuration_update": _payment,
}
_PREFIXES: Mapping[str, _Words] = {
    "message_template": _template_components,
    "template_": _template_components,
    "account_": _changed,
    "business_": _changed,
    "phone_number_": _changed,
}
