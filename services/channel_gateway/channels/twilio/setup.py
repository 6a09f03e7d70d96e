"""Connecting an account, and saying what is wrong with one. Every question has its own short time limit."""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urldefrag, urlsplit

import aiohttp

from packages.core.domain.channels import Channel as Account
from packages.core.domain.channels import Finding
from services.channel_gateway.channels.twilio import errors, sdk
from services.channel_gateway.channels.twilio.account import credentials, is_whatsapp, public
from services.channel_gateway.channels.twilio.signature import OVERRIDES

SECONDS = 3.5
_CONSOLE = "the Twilio console (console.twilio.com)"
Check = Callable[[], Awaitable[list[Finding]]]


async def connect(account: Account, http: aiohttp.ClientSession) -> list[Finding]:
    """Check the credentials, and have Twilio call our webhook for the sender's messages."""
    token = await _token(account, http)
    if any(finding.level == "error" for finding in token):
        return token
    return [*token, *_public_url(account), *await _guarded("webhook", lambda: _webhook(account, http, register=True))]


async def disconnect(account: Account, http: aiohttp.ClientSession) -> None:
    """Have Twilio call us no more, where it calls us. Does not raise."""
    await _guarded("webhook", lambda: _unregister(account, http))


async def diagnose(account: Account, http: aiohttp.ClientSession) -> list[Finding]:
    """What is right and wrong; changes nothing."""
    found = await asyncio.gather(
        _token(account, http),
        _guarded("token", lambda: _api_key(account, http)),
        _guarded("webhook", lambda: _webhook(account, http, register=False)),
        _guarded("reachable", lambda: _alerts(account, http)),
    )
    return [*(finding for findings in found for finding in findings), *_public_url(account), *_secret(account)]


async def _guarded(check: str, ask: Check) -> list[Finding]:
    """What goes wrong with a question is a warning: only the token's own check may say that the token is wrong."""
    try:
        return await ask()
    except sdk.REFUSED as error:
        status, code, words = sdk.refused(error)
        why = f"Twilio did not answer this question: {errors.explanation(code, words)} (status {status})"
    except (*sdk.NO_ANSWER, *sdk.UNREADABLE) as error:
        why = f"Twilio cannot be reached, or its answer cannot be read: {error or type(error).__name__}"[:300]
    return [Finding(check=check, level="warning", message=why, remedy="Try again later.")]


async def _token(account: Account, http: aiohttp.ClientSession) -> list[Finding]:
    """The account as the auth token sees it; the token also signs the webhooks, so it must be right in any case."""
    sid = credentials(account).account_sid
    try:
        found = await sdk.token_client(account, http, seconds=SECONDS).api.v2010.accounts(sid).fetch_async()
    except sdk.REFUSED as error:
        status, code, words = sdk.refused(error)
        if status == 401 or code == 20003:
            message = "Twilio refuses the account SID with this auth token."
            remedy = f"Copy both anew from {_CONSOLE}, Account info. A sub-account has its own token."
            return [Finding(check="token", level="error", message=message, remedy=remedy, definite=True)]
        why = f"Twilio did not check the token: {errors.explanation(code, words)} (status {status})"
        return [Finding(check="token", level="warning", message=why, remedy="Try again later.")]
    except (*sdk.NO_ANSWER, *sdk.UNREADABLE) as error:
        why = f"Twilio cannot be reached: {error or type(error).__name__}"[:300]
        return [Finding(check="token", level="warning", message=why, remedy="Try again later.")]
    if found.status != "active":
        remedy = f"See the notices in {_CONSOLE}; a suspended account mostly needs a payment."
        message = f"The Twilio account is {found.status}."
        return [Finding(check="token", level="error", message=message, remedy=remedy, definite=True)]
    trial = " It is a trial account, which may write to verified numbers only." if found.type == "Trial" else ""
    return [Finding(check="token", level="ok", message=f"The account SID and the auth token are right.{trial}")]


async def _api_key(account: Account, http: aiohttp.ClientSession) -> list[Finding]:
    if not credentials(account).api_key_sid:
        return []
    try:
        await sdk.client(account, http, seconds=SECONDS).messages.list_async(limit=1, page_size=1)
    except sdk.REFUSED as error:
        if sdk.refused(error)[0] != 401:
            raise
        remedy = f"Make a new API key in {_CONSOLE}, or leave it out."
        message = "Twilio refuses the API key."
        return [Finding(check="token", level="error", message=message, remedy=remedy, definite=True)]
    return [Finding(check="token", level="ok", message="The API key is right.")]


async def _webhook(account: Account, http: aiohttp.ClientSession, *, register: bool) -> list[Finding]:
    if not account.webhook_url:
        return []
    where = await _place(account, http)
    if where is None:
        message = f"Twilio lists no sender {credentials(account).sender} whose webhook could be set from here."
        remedy = f"Enter {public(account, account.webhook_url)}{OVERRIDES} (POST) for incoming messages in {_CONSOLE}."
        return [
            Finding(
                check="webhook", level="info" if is_whatsapp(account) else "warning", message=message, remedy=remedy
            )
        ]
    label, current, put = where
    wanted = public(account, account.webhook_url)
    if register:
        await put(wanted + OVERRIDES)
        return [Finding(check="webhook", level="ok", message=f"Twilio calls this server for messages to {label}.")]
    if urldefrag(current or "")[0] == wanted:
        return [Finding(check="webhook", level="ok", message=f"Twilio calls this server for messages to {label}.")]
    message = f"For messages to {label} Twilio calls {current or 'nobody'}, not this server."
    return [Finding(check="webhook", level="error", message=message, remedy="Connect the channel again.")]


async def _unregister(account: Account, http: aiohttp.ClientSession) -> list[Finding]:
    where = await _place(account, http) if account.webhook_url else None
    if where and urldefrag(where[1] or "")[0] == public(account, account.webhook_url):
        await where[2]("")
    return []


Place = tuple[str, str | None, Callable[[str], Awaitable[Any]]]
"""What has the webhook, in words; the webhook's URL now; how to set it."""


async def _place(account: Account, http: aiohttp.ClientSession) -> Place | None:
    """Where Twilio keeps the webhook of this sender. None: it has no such sender, or none that can be set."""
    client, sender = sdk.client(account, http, seconds=SECONDS), credentials(account).sender
    if sender.startswith("MG"):
        return await _service(client, sender)
    if sender.startswith("whatsapp:"):
        return await _whatsapp_sender(client, sender)
    numbers = client.incoming_phone_numbers if sender.startswith("+") else client.short_codes
    named = {"phone_number": sender} if sender.startswith("+") else {"short_code": sender}
    found = await numbers.list_async(**named, limit=1)
    if not found:
        return None
    number = found[0]
    return f"the number {sender}", number.sms_url, lambda url: number.update_async(sms_url=url, sms_method="POST")


async def _service(client: Any, sid: str) -> Place:
    service = await client.messaging.v1.services(sid).fetch_async()

    def put(url: str) -> Awaitable[Any]:
        update = {"inbound_request_url": url, "inbound_method": "POST", "use_inbound_webhook_on_number": False}
        changed: Awaitable[Any] = service.update_async(**update)
        return changed

    at_number = service.use_inbound_webhook_on_number
    current = "the address set at each number" if at_number else service.inbound_request_url
    return f"the messaging service {service.friendly_name}", current, put


async def _whatsapp_sender(client: Any, address: str) -> Place | None:
    senders = client.messaging.v2.channels_senders
    for sender in await senders.list_async(channel="whatsapp", limit=200):
        if sender.sender_id == address:
            break
    else:
        return None  # the sandbox's sender is not listed

    def put(url: str) -> Awaitable[Any]:
        webhook = {"callback_url": url, "callback_method": "POST"}
        update = senders.MessagingV2ChannelsSenderRequestsUpdate({"webhook": webhook})
        changed: Awaitable[Any] = sender.update_async(update)
        return changed

    webhook = sender.webhook
    current = webhook.get("callback_url") if isinstance(webhook, dict) else getattr(webhook, "callback_url", None)
    return f"the WhatsApp sender {address.removeprefix('whatsapp:')}", current, put


async def _alerts(account: Account, http: aiohttp.ClientSession) -> list[Finding]:
    """Whether Twilio lately failed to reach our webhook (its debugger keeps alerts for a month)."""
    wanted = public(account, account.webhook_url)
    alerts = await sdk.client(account, http, seconds=SECONDS).monitor.v1.alerts.list_async(limit=50, page_size=50)
    ours = [alert for alert in alerts if wanted and urldefrag(str(alert.request_url or ""))[0].startswith(wanted)]
    if not ours:
        return [
            Finding(check="reachable", level="ok", message="Twilio reports no trouble with this channel's webhook.")
        ]
    message = (
        f"Twilio lately reported {len(ours)} failed calls of the webhook; the last had error {ours[0].error_code}."
    )
    remedy = "Errors 11200 to 11215: check that the public address is reachable from outside and its certificate valid."
    return [Finding(check="reachable", level="warning", message=message, remedy=remedy)]


def _public_url(account: Account) -> list[Finding]:
    url = urlsplit(public(account, account.webhook_url))
    if url.scheme == "https" and not _is_local(url.hostname or ""):
        return [Finding(check="public_url", level="ok", message=f"The webhook's public address is {url.hostname}.")]
    message = f"Twilio cannot call {url.scheme}://{url.netloc}: it is no public https address."
    remedy = "Set PARLEY_PUBLIC_GATEWAY_URL, or this channel's setting public_url, to the address seen from outside."
    return [Finding(check="public_url", level="warning", message=message, remedy=remedy)]


def _is_local(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host in {"", "localhost"} or host.endswith((".local", ".internal", ".localhost"))


def _secret(account: Account) -> list[Finding]:
    if not credentials(account).signing_key_id:
        return []
    message = "Webhooks must be signed with the signing key; those signed with the auth token are refused."
    return [Finding(check="secret", level="info", message=message)]
