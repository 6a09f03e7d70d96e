"""Connecting a bot, and saying what is right and wrong with one."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

import aiohttp
from telegram import Bot, User, WebhookInfo
from telegram.error import InvalidToken, TelegramError

from packages.core.domain.channels import Channel as Account
from packages.core.domain.channels import Finding
from services.channel_gateway.channels.telegram.bot import Refused, ask, bot_of

ALLOWED_UPDATES = (
    "message",
    "edited_message",
    "callback_query",
    "my_chat_member",
    "message_reaction",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
)
"""What Telegram is asked to tell. Reactions only come when they are asked for."""

MAX_CONNECTIONS = 40
_PORTS = {443, 80, 88, 8443}
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)
_ASK_BOTFATHER = "Ask @BotFather for the bot's token (/mybots → API Token) and enter it here."
_CHOOSE_ONE = "Enter a secret token of 1 to 256 letters, digits, - and _, and connect the channel again."
_AGAIN = "Connect the channel again."
_MANY_PENDING = 100


async def connect(account: Account, http: aiohttp.ClientSession) -> list[Finding]:
    """Check token and secret, then have the updates sent to `account.webhook_url`."""
    findings = [_secret(account), *_public_url(account)]
    try:
        bot = bot_of(account, http)
        findings.insert(0, _token(await ask(bot.get_me())))
    except TelegramError as error:
        return [_token_error(error), *findings]
    if any(finding.level == "error" for finding in findings):
        return [*findings, Finding(check="webhook", level="warning", message="The webhook was not registered.")]
    try:
        await bot.set_webhook(
            account.webhook_url,
            allowed_updates=ALLOWED_UPDATES,
            max_connections=MAX_CONNECTIONS,
            drop_pending_updates=False,
            secret_token=account.credentials.secret_token.get_secret_value(),
        )
    except TelegramError as error:
        return [*findings, _webhook_refused(error)]
    return [*findings, Finding(check="webhook", level="ok", message="Telegram sends the bot's messages here.")]


async def disconnect(account: Account, http: aiohttp.ClientSession) -> None:
    """Take the webhook back, if it is ours: another system may have registered its own since."""
    try:
        bot = bot_of(account, http)
        if (await ask(bot.get_webhook_info())).url == account.webhook_url:
            await bot.delete_webhook(drop_pending_updates=False)
    except TelegramError:
        return  # nothing is lost: an unknown webhook is refused


async def diagnose(account: Account, http: aiohttp.ClientSession) -> list[Finding]:
    """Token, secret, public address and webhook of an account; changes nothing."""
    local = [_secret(account), *_public_url(account)]
    try:
        bot = bot_of(account, http)
        token = _token(me := await ask(bot.get_me()))
    except TelegramError as error:
        return [_token_error(error), *local]
    return [token, *local, *_privacy(me), *await _registered(bot, account)]


async def _registered(bot: Bot, account: Account) -> list[Finding]:
    try:
        return _webhook(await ask(bot.get_webhook_info()), account)
    except TelegramError as error:
        return [_unknown("webhook", error)]


def _token(me: User) -> Finding:
    return Finding(check="token", level="ok", message=f"The token is that of @{me.username or me.first_name}.")


def _token_error(error: TelegramError) -> Finding:
    refused = isinstance(error, Refused) and error.status in {401, 404}
    if refused or isinstance(error, InvalidToken):
        message = "Telegram does not accept the bot token: it is wrong or was revoked."
        return Finding(check="token", level="error", message=message, remedy=_ASK_BOTFATHER, definite=True)
    return _unknown("token", error)


def _unknown(check: str, error: TelegramError) -> Finding:
    if isinstance(error, Refused):
        message = f"Telegram answered: {error.description or f'status {error.status}'}"
    else:
        message = "Telegram cannot be reached, or did not answer."
    return Finding(check=check, level="warning", message=message, remedy="Try again in a few minutes.")


def _secret(account: Account) -> Finding:
    secret = account.credentials.secret_token.get_secret_value()
    if not secret:
        message = "No secret token is set, so every message from Telegram is refused."
        return Finding(check="secret", level="error", message=message, remedy=_CHOOSE_ONE)
    if not _SECRET.fullmatch(secret):
        message = "The secret token has characters that Telegram does not take."
        return Finding(check="secret", level="error", message=message, remedy=_CHOOSE_ONE)
    return Finding(check="secret", level="ok", message="A secret token is set.")


def _public_url(account: Account) -> list[Finding]:
    """Telegram posts to https at four ports only; a server of one's own (`api_base`) takes any address."""
    if account.settings.get("api_base"):
        return []
    try:
        url = urlsplit(account.webhook_url)
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        url, port = urlsplit(""), 0
    remedy = "Set PARLEY_PUBLIC_GATEWAY_URL to the gateway's public https address, at port 443, 80, 88 or 8443."
    if url.scheme != "https" or not url.hostname:
        message = "Telegram sends messages to https addresses only, and the gateway's public address is none."
    elif port not in _PORTS:
        message = f"Telegram sends messages to the ports 443, 80, 88 and 8443 only, not to {port}."
    elif _is_private(url.hostname):
        message = f"Telegram cannot reach {url.hostname}: it is not a public address."
    else:
        return [Finding(check="public_url", level="ok", message="Telegram takes the gateway's public address.")]
    return [Finding(check="public_url", level="error", message=message, remedy=remedy)]


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))


def _privacy(me: User) -> list[Finding]:
    if me.can_read_all_group_messages:
        return []
    message = "In groups the bot sees commands, mentions and answers to it only."
    remedy = "This is Telegram's privacy mode; @BotFather can turn it off (/setprivacy)."
    return [Finding(check="subscription", level="info", message=message, remedy=remedy)]


def _webhook(info: WebhookInfo, account: Account) -> list[Finding]:
    if not info.url:
        message = "Telegram sends the bot's messages nowhere."
        return [Finding(check="webhook", level="error", message=message, remedy=_AGAIN, definite=True)]
    if info.url != account.webhook_url:
        host = urlsplit(info.url).hostname or "another address"
        why = "another system uses the same bot, or the gateway's address has changed"
        message = f"Telegram sends the bot's messages elsewhere, to {host}: {why}."
        remedy = "Stop the other system, or make a bot of its own with @BotFather; then connect the channel again."
        return [Finding(check="webhook", level="error", message=message, remedy=remedy, definite=True)]
    findings = [Finding(check="webhook", level="ok", message="Telegram sends the bot's messages here.")]
    if info.last_error_message and info.pending_update_count:
        at = f" at {info.last_error_date:%Y-%m-%d %H:%M} UTC" if info.last_error_date else ""
        message = f"The last delivery failed{at}: {info.last_error_message[:200]}"
        remedy = "Check that the gateway runs and that its public address leads to it; Telegram tries again for a day."
        findings.append(Finding(check="webhook", level="warning", message=message, remedy=remedy))
    if info.pending_update_count > _MANY_PENDING:
        message = f"{info.pending_update_count} updates wait to be delivered."
        remedy = "They come by themselves once the gateway takes them."
        findings.append(Finding(check="webhook", level="warning", message=message, remedy=remedy))
    missing = sorted(set(ALLOWED_UPDATES) - set(info.allowed_updates or ()))
    if missing:
        message = f"Telegram was not asked to tell of: {', '.join(missing)}."
        findings.append(Finding(check="subscription", level="warning", message=message, remedy=_AGAIN))
    return findings


def _webhook_refused(error: TelegramError) -> Finding:
    if not isinstance(error, Refused) or error.status == 429 or error.status >= 500:
        return _unknown("webhook", error)
    message = f"Telegram refused the webhook: {error.description or f'status {error.status}'}"
    remedy = "Check the gateway's public address and its certificate, then connect the channel again."
    return Finding(check="webhook", level="error", message=message, remedy=remedy)
