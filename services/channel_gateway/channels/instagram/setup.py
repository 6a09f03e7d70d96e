"""Connecting an Instagram account, and saying what is right and wrong with one.

Protocol: Meta's Instagram Platform documentation, "Webhooks" (`/me/subscribed_apps`) and "Get started" (`/me`); with
Facebook Login the token is a page's, and the subscription is the page's. The callback URL itself is entered in the Meta
app's dashboard; only the app's owner can change it.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from packages.core.domain.channels import Channel as Account
from packages.core.domain.channels import Finding
from services.channel_gateway import graph
from services.channel_gateway.channels.instagram.content import text
from services.channel_gateway.channels.instagram.outbound import address, token

ESSENTIAL = ("messages", "messaging_postbacks", "message_reactions")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "instagram": (
        *ESSENTIAL,
        "messaging_seen",
        "messaging_referral",
        "messaging_optins",
        "messaging_handover",
        "message_edit",
        "standby",
        "comments",
        "live_comments",
        "mentions",
    ),
    "facebook": (
        *ESSENTIAL,
        "message_echoes",
        "message_reads",
        "messaging_referrals",
        "messaging_optins",
        "messaging_handovers",
        "message_edits",
        "standby",
    ),
}
"""The webhook fields that are asked for, by `settings.login`; the names differ between the two."""

_CALL_SECONDS = 5.0
_TOKEN_CODES = frozenset({102, 190})
_INVALID_PARAMETER = 100
_RECONNECT = "Make a new access token for this account in the Meta app's dashboard, and enter it here."
_LATER = "Try again in a few minutes."
_PERSONAL = "Switch the account to a business or creator account in the Instagram app."


async def connect(account: Account, http: aiohttp.ClientSession) -> list[Finding]:
    """Check the token and whose it is, then subscribe the app to the account's events."""
    token_findings, usable = await _token(account, http)
    local = told_without_asking(account)
    if not usable:
        return [*token_findings, *local]
    answer = await _subscribe(account, http, FIELDS[_login(account)])
    if answer.error and answer.error.code == _INVALID_PARAMETER:
        # A field that this version of the API does not have must not cost the others.
        answer = await _subscribe(account, http, ESSENTIAL)
    if answer.ok:
        subscribed = Finding(check="subscription", level="ok", message="The Meta app gets the account's messages.")
    else:
        subscribed = _unknown("subscription", answer)
    return [*token_findings, subscribed, *local]


async def disconnect(account: Account, http: aiohttp.ClientSession) -> None:
    """Take the app's subscription back."""
    url = address(account, "me/subscribed_apps")
    await graph.call(http, "DELETE", url, token(account), seconds=_CALL_SECONDS)


async def diagnose(account: Account, http: aiohttp.ClientSession) -> list[Finding]:
    """Token, account, subscription, secrets and public address; changes nothing."""
    token_findings, usable = await _token(account, http)
    subscription = [await _subscription(account, http)] if usable else []
    return [*token_findings, *subscription, *told_without_asking(account)]


def _login(account: Account) -> str:
    return "facebook" if account.settings.get("login") == "facebook" else "instagram"


async def _subscribe(account: Account, http: aiohttp.ClientSession, fields: tuple[str, ...]) -> graph.GraphAnswer:
    url, params = address(account, "me/subscribed_apps"), {"subscribed_fields": ",".join(fields)}
    return await graph.call(http, "POST", url, token(account), params=params, seconds=_CALL_SECONDS)


async def _token(account: Account, http: aiohttp.ClientSession) -> tuple[list[Finding], bool]:
    """What the platform says of the token, and whether it can be used to ask further."""
    facebook = _login(account) == "facebook"
    fields = "id,name,instagram_business_account{id,username}" if facebook else "user_id,username,account_type"
    answer = await graph.call(
        http, "GET", address(account, "me"), token(account), params={"fields": fields}, seconds=_CALL_SECONDS
    )
    if answer.error and answer.error.code in _TOKEN_CODES:
        message = "Instagram does not accept the access token: it is wrong, was revoked, or has expired."
        return [Finding(check="token", level="error", message=message, remedy=_RECONNECT, definite=True)], False
    if not answer.ok:
        return [_unknown("token", answer)], False
    told = (answer.data() or [answer.object()])[0]
    return (_of_page(account, told) if facebook else _of_account(account, told)), True


def _of_page(account: Account, page: Mapping[str, Any]) -> list[Finding]:
    linked = page.get("instagram_business_account")
    if not isinstance(linked, dict):
        message = f"The token is that of the page {page.get('name')!r}, which shows no Instagram account."
        remedy = "Link the Instagram account to the page, and allow the app to manage its messages."
        return [Finding(check="token", level="error", message=message, remedy=remedy)]
    return [_whose(account, text(linked.get("id")), text(linked.get("username")))]


def _of_account(account: Account, told: Mapping[str, Any]) -> list[Finding]:
    findings = [_whose(account, text(told.get("user_id")) or text(told.get("id")), text(told.get("username")))]
    if told.get("account_type") == "PERSONAL":
        message = "This is a personal account, which cannot use the messaging API."
        findings.append(Finding(check="account", level="error", message=message, remedy=_PERSONAL))
    return findings


def _whose(account: Account, account_id: str | None, username: str | None) -> Finding:
    named = f"@{username}" if username else f"the account {account_id}"
    if account_id == account.account_id:
        return Finding(check="token", level="ok", message=f"The access token is that of {named}.")
    message = f"The access token is that of {named}, whose id is {account_id}, not {account.account_id}."
    remedy = f"If this is the right account, enter {account_id} as its id; webhooks name that one."
    return Finding(check="token", level="error", message=message, remedy=remedy)


async def _subscription(account: Account, http: aiohttp.ClientSession) -> Finding:
    answer = await graph.call(
        http, "GET", address(account, "me/subscribed_apps"), token(account), seconds=_CALL_SECONDS
    )
    if not answer.ok:
        return _unknown("subscription", answer)
    fields = {field for app in answer.data() for field in app.get("subscribed_fields") or () if isinstance(field, str)}
    remedy = "Connect the channel again."
    if "messages" not in fields:
        message = "No app is subscribed to the account's messages, so none arrive."
        return Finding(check="subscription", level="error", message=message, remedy=remedy)
    if missing := [field for field in FIELDS[_login(account)] if field not in fields]:
        message = f"Messages arrive, but these events do not: {', '.join(missing)}."
        return Finding(check="subscription", level="info", message=message, remedy=remedy)
    return Finding(check="subscription", level="ok", message="The Meta app gets the account's messages and events.")


def told_without_asking(account: Account) -> list[Finding]:
    """What can be told of an account without asking the platform: its secret, and the address that is called."""
    findings: list[Finding] = []
    if account.credentials.app_secret.get_secret_value():
        message = "The Meta app's secret is set; webhooks are checked with it."
        findings.append(Finding(check="secret", level="ok", message=message))
    else:
        message = "No app secret is set: only webhooks of the operator's own Meta app are accepted."
        remedy = "If the brand has a Meta app of its own, enter its secret (App settings → Basic)."
        findings.append(Finding(check="secret", level="info", message=message, remedy=remedy))
    return [*findings, _public_url(account)]


def _public_url(account: Account) -> Finding:
    url = urlsplit(account.webhook_url)
    if url.scheme == "https" or account.settings.get("api_base"):
        message = f"In the Meta app's dashboard the callback URL has to be {account.webhook_url}, or the operator's."
        return Finding(check="public_url", level="info", message=message)
    message = "Meta posts to public https addresses only, and the gateway's public address is none."
    remedy = "Set PARLEY_PUBLIC_GATEWAY_URL to the gateway's public https address."
    return Finding(check="public_url", level="error", message=message, remedy=remedy)


def _unknown(check: str, answer: graph.GraphAnswer) -> Finding:
    """The platform's answer says nothing for certain."""
    message = f"Instagram answered: {answer.error.text}" if answer.error else answer.reason
    return Finding(check=check, level="warning", message=message[:500], remedy=_LATER)
