"""A WhatsApp number's connection: checked, registered, diagnosed.

After Meta's pages "Business phone numbers", "Webhook overrides" and "Subscribed apps". An override of the callback
stands at the number itself, the most specific of the three places where the platform looks.
"""

from collections.abc import Mapping
from typing import Any

from packages.core.domain.channels import Finding
from packages.core.errors import Unavailable
from services.channel_gateway.channels.whatsapp import templates
from services.channel_gateway.channels.whatsapp.content import objects
from services.channel_gateway.channels.whatsapp.errors import meaning
from services.channel_gateway.channels.whatsapp.number import Number, business_account_in
from services.channel_gateway.graph import GraphAnswer

_FIELDS = (
    "id,display_phone_number,verified_name,quality_rating,name_status,status,throughput,code_verification_status,"
    "account_mode,whatsapp_business_manager_messaging_limit,webhook_configuration,health_status"
)
_UNKNOWN_FIELD = 100
_PERMISSIONS = (
    "Make a permanent token of a system user with the permissions whatsapp_business_messaging and "
    "whatsapp_business_management, and put it into the channel."
)
_QUALITY = {
    "GREEN": ("ok", "The number's quality rating is high."),
    "YELLOW": ("warning", "The number's quality rating is medium."),
    "RED": ("warning", "The number's quality rating is low; WhatsApp may lower its limits."),
}
_QUALITY_REMEDY = "Send fewer unwanted messages: people block or report the number."


async def connect(number: Number) -> list[Finding]:
    """Check the token, subscribe the app to the business account's events, and have them sent to our webhook."""
    answer = await _asked(number)
    found = [_token(answer)]
    if not answer.ok:
        return found
    business = _business(number, answer)
    if business:
        found.append(_subscription_made(await number.call("POST", f"{business}/subscribed_apps")))
    else:
        found.append(_unknown_business())
    if _registers(number):
        found.append(_override_made(await _override(number, number.account.webhook_url), number))
    return found


async def disconnect(number: Number) -> None:
    """Take the callback back; the app's own holds again. The subscription stays: other numbers may need it."""
    if _registers(number):
        await _override(number, "")


async def diagnose(number: Number) -> list[Finding]:
    """Everything that can be asked; changes nothing."""
    answer = await _asked(number)
    found = [_token(answer), _secret(number)]
    if not answer.ok:
        return found
    known = answer.object()
    found += [_quality(known), *_limits(known), *_states(known), *_health(known), _webhook(number, known)]
    business = _business(number, answer)
    if business is None:
        return [*found, _unknown_business()]
    found.append(_subscription(await number.call("GET", f"{business}/subscribed_apps")))
    found.append(await _templates(number))
    return found


async def _asked(number: Number) -> GraphAnswer:
    """The number's own node; without the newer fields where this version of the API does not know one of them."""
    answer = await number.call("GET", number.id, params={"fields": _FIELDS})
    if answer.error and answer.error.code == _UNKNOWN_FIELD and answer.error.subcode is None:
        return await number.call("GET", number.id)
    return answer


def _business(number: Number, answer: GraphAnswer) -> str | None:
    settings = number.account.settings
    known = settings.get("waba_id") or settings.get("business_account_id")
    return str(known) if known else business_account_in(answer.object())


def _token(answer: GraphAnswer) -> Finding:
    """Whether the token opens the number. Only the platform's own word makes it an error."""
    if answer.ok:
        known = answer.object()
        name, printed = (
            known.get("verified_name") or "without a name",
            known.get("display_phone_number") or "the number",
        )
        return Finding(check="token", level="ok", message=f"The access token opens {printed} ({name}).")
    if answer.error is None:
        remedy = "Try again later; check `api_base` and the way out to the internet."
        return Finding(check="reachable", level="warning", message=answer.reason, remedy=remedy)
    known_error = meaning(answer.error.code, answer.error.subcode)
    message = f"{known_error.text or 'WhatsApp refuses the number.'} WhatsApp says: {answer.error.text}"
    if known_error.account_down:
        return Finding(check="token", level="error", message=message, remedy=_PERMISSIONS, definite=True)
    return Finding(check="token", level="warning", message=message, remedy="Try again later.")


def _secret(number: Number) -> Finding:
    if number.account.credentials.app_secret.get_secret_value():
        return Finding(check="secret", level="ok", message="The app secret is set; webhooks are checked with it.")
    message = "No app secret is set; webhooks count only when they are signed with the operator's Meta app."
    remedy = "If the brand has a Meta app of its own, copy its app secret (App settings, Basic) into the channel."
    return Finding(check="secret", level="info", message=message, remedy=remedy)


def _registers(number: Number) -> bool:
    """Whether the number has a callback of its own: with the operator's app, its webhook serves all."""
    credentials = number.account.credentials
    return bool(
        number.account.webhook_url
        and credentials.verify_token.get_secret_value()
        and credentials.app_secret.get_secret_value()
    )


async def _override(number: Number, url: str) -> GraphAnswer:
    configuration = {"override_callback_uri": url}
    if url:
        configuration["verify_token"] = number.account.credentials.verify_token.get_secret_value()
    return await number.call("POST", number.id, body={"webhook_configuration": configuration})


def _override_made(answer: GraphAnswer, number: Number) -> Finding:
    if answer.ok:
        return Finding(check="webhook", level="ok", message=f"WhatsApp sends events to {number.account.webhook_url}.")
    message = f"WhatsApp did not take the webhook {number.account.webhook_url}: {answer.reason}"
    remedy = (
        "WhatsApp must reach this address by https while the channel is saved. Or enter it by hand in the app's "
        "dashboard (WhatsApp, Configuration), with the channel's verify token."
    )
    return Finding(check="webhook", level="warning", message=message, remedy=remedy)


def _subscription_made(answer: GraphAnswer) -> Finding:
    if answer.ok:
        return Finding(check="subscription", level="ok", message="The app gets the business account's events.")
    message = f"The app could not be subscribed to the business account's events: {answer.reason}"
    remedy = "Give the token the permission whatsapp_business_management, or subscribe the app in the dashboard."
    return Finding(check="subscription", level="warning", message=message, remedy=remedy)


def _subscription(answer: GraphAnswer) -> Finding:
    if not answer.ok:
        message = f"Whether the app gets the business account's events cannot be told: {answer.reason}"
        return Finding(check="subscription", level="warning", message=message, remedy=_PERMISSIONS)
    apps = [app.get("whatsapp_business_api_data") for app in answer.data()]
    names = [str(app.get("name") or app.get("id")) for app in apps if isinstance(app, dict)]
    if names:
        text = f"Apps that get the business account's events: {', '.join(names)}."
        return Finding(check="subscription", level="ok", message=text)
    text = "No app gets the business account's events, so no message can arrive."
    return Finding(check="subscription", level="error", message=text, remedy="Save the channel again: that subscribes.")


def _unknown_business() -> Finding:
    text = "The number's business account is not known, so its subscription and its templates cannot be checked."
    remedy = "Set `waba_id` in the channel's settings (WhatsApp Manager, Account tools)."
    return Finding(check="subscription", level="info", message=text, remedy=remedy)


def _webhook(number: Number, known: Mapping[str, Any]) -> Finding:
    """Where the platform sends the number's events: the most specific of three addresses."""
    configured = known.get("webhook_configuration")
    places = configured if isinstance(configured, dict) else {}
    names = ("phone_number", "whatsapp_business_account", "application")
    actual = next((str(places[name]) for name in names if places.get(name)), None)
    wanted = number.account.webhook_url
    if actual is None:
        text = "WhatsApp does not tell where it sends the number's events."
        remedy = f"Check that the app's callback URL is {wanted}." if wanted else None
        return Finding(check="webhook", level="info", message=text, remedy=remedy)
    if not wanted or actual.rstrip("/") in {wanted.rstrip("/"), _shared(wanted)}:
        return Finding(check="webhook", level="ok", message=f"WhatsApp sends the number's events to {actual}.")
    text = f"WhatsApp sends the number's events to {actual}, not to {wanted}."
    return Finding(check="webhook", level="error", message=text, remedy="Save the channel again, or change it by hand.")


def _shared(webhook_url: str) -> str:
    """The address that serves all tenants of the operator's app."""
    return webhook_url.partition("/webhooks/")[0] + "/webhooks/meta"


def _quality(known: Mapping[str, Any]) -> Finding:
    rating = str(known.get("quality_rating") or "UNKNOWN")
    level, text = _QUALITY.get(rating, ("info", "The number has no quality rating yet."))
    remedy = _QUALITY_REMEDY if level == "warning" else None
    return Finding(check="quality", level=level, message=text, remedy=remedy)


def _limits(known: Mapping[str, Any]) -> list[Finding]:
    """How many people may be written to first, and how fast."""
    found = []
    if tier := known.get("whatsapp_business_manager_messaging_limit") or known.get("messaging_limit_tier"):
        count = str(tier).removeprefix("TIER_").lower()
        text = f"Conversations that the business may start within 24 hours: {count}."
        found.append(Finding(check="limit", level="info", message=text))
    throughput = known.get("throughput")
    if isinstance(throughput, dict) and throughput.get("level"):
        text = f"The number's throughput level is {str(throughput['level']).lower()}."
        found.append(Finding(check="throughput", level="info", message=text))
    return found


def _states(known: Mapping[str, Any]) -> list[Finding]:
    found = []
    status = known.get("status")
    if status and status != "CONNECTED":
        text, remedy = f"The number's status is {str(status).lower()}.", "Register it, or look into WhatsApp Manager."
        found.append(Finding(check="number", level="warning", message=text, remedy=remedy))
    name = known.get("name_status")
    if name in {"DECLINED", "EXPIRED", "NONE"}:
        text, remedy = f"The display name is {str(name).lower()}.", "Submit a display name in WhatsApp Manager."
        found.append(Finding(check="name", level="warning", message=text, remedy=remedy))
    if known.get("account_mode") == "SANDBOX":
        text, remedy = "This is a test number; it reaches only listed recipients.", "Add a number of your own."
        found.append(Finding(check="number", level="info", message=text, remedy=remedy))
    return found


def _health(known: Mapping[str, Any]) -> list[Finding]:
    """What keeps the number, its account, its business or the app from sending, in the platform's words."""
    health = known.get("health_status")
    found = []
    for entity in objects(health.get("entities")) if isinstance(health, dict) else ():
        state, kind = (
            entity.get("can_send_message"),
            str(entity.get("entity_type") or "entity").replace("_", " ").lower(),
        )
        if state not in {"LIMITED", "BLOCKED"}:
            continue
        level = "error" if state == "BLOCKED" else "warning"
        for error in objects(entity.get("errors")) or [{}]:
            text = f"Sending is {str(state).lower()} ({kind}): {error.get('error_description') or 'no reason is given'}"
            remedy = str(error.get("possible_solution") or "Look into WhatsApp Manager.")
            found.append(Finding(check="health", level=level, message=text, remedy=remedy))
    return found


async def _templates(number: Number) -> Finding:
    try:
        found = await templates.listed(number)
    except Unavailable as error:
        return Finding(check="templates", level="warning", message=error.message, remedy=_PERMISSIONS)
    approved = sum(template.status == "approved" for template in found)
    if approved:
        return Finding(check="templates", level="ok", message=f"Approved templates: {approved} of {len(found)}.")
    text = "No template is approved, so nobody can be written to more than 24 hours after their last message."
    remedy = "Make a template in WhatsApp Manager and wait for its approval."
    return Finding(check="templates", level="info", message=text, remedy=remedy)
