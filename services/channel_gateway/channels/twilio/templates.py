"""Content templates: listed with their approvals, and found by SID or by friendly name."""

import re
from typing import Any

import aiohttp
import msgspec
from cachetools import TTLCache
from twilio.rest import Client  # type: ignore[import-untyped]

from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Template
from packages.core.errors import Unavailable
from services.channel_gateway.channels import SendResult, TemplateInfo
from services.channel_gateway.channels.twilio import errors, sdk

_SID = re.compile(r"HX[0-9a-fA-F]{32}")
_VARIABLE = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
_MOST = 500
_known: TTLCache[tuple[str, str, str], str] = TTLCache(maxsize=2000, ttl=600)
"""(account SID, friendly name, language) to content SID."""


async def listing(account: Account, http: aiohttp.ClientSession) -> list[TemplateInfo]:
    """The account's templates.

    Raises:
        Unavailable: Twilio does not answer, or refuses.
    """
    client = sdk.client(account, http, seconds=6)
    try:
        found = await client.content.v1.content_and_approvals.list_async(limit=_MOST, page_size=_MOST)
    except sdk.REFUSED as error:
        status, code, words = sdk.refused(error)
        raise Unavailable(
            f"Twilio does not list the templates: {errors.explanation(code, words)} ({status})"
        ) from error
    except (*sdk.NO_ANSWER, *sdk.UNREADABLE) as error:
        raise Unavailable(f"Twilio does not answer: {error or type(error).__name__}") from error
    return [_info(content) for content in found]


async def content_sid(template: Template, account: Account, client: Client) -> str | SendResult:
    """The SID of a template that is named by SID or friendly name; how the send ends where there is none."""
    if _SID.fullmatch(template.name):
        return template.name
    key = (str(account.credentials.account_sid), template.name, template.language)
    if key in _known:
        return _known[key]
    try:
        listed = await client.content.v1.contents.list_async(limit=_MOST, page_size=_MOST)
    except sdk.REFUSED as error:
        return errors.refusal(*sdk.refused(error), retry_after=client.http_client.retry_after)
    except (*sdk.NO_ANSWER, *sdk.UNREADABLE) as error:
        reason = f"Twilio does not say what the template is: {error or type(error).__name__}"
        return SendResult(outcome="retry", code="unreachable", reason=reason)
    for content in listed:
        _known[(key[0], str(content.friendly_name), str(content.language))] = str(content.sid)
    if key in _known:
        return _known[key]
    reason = f"Twilio knows no template {template.name!r} in the language {template.language!r}."
    return SendResult(outcome="failed", code="no_template", reason=reason)


def _info(content: Any) -> TemplateInfo:
    types = content.types if isinstance(content.types, dict) else {}
    names = list(dict.fromkeys(_VARIABLE.findall(msgspec.json.encode(types).decode())))
    approval = content.approval_requests if isinstance(content.approval_requests, dict) else {}
    return TemplateInfo(
        name=str(content.friendly_name or content.sid),
        language=str(content.language or ""),
        status=str(approval.get("status") or "unsubmitted").lower(),
        category=str(approval["category"]).lower() if approval.get("category") else None,
        text=_text(types),
        body=sum(name.isdecimal() for name in names),
        named=tuple(name for name in names if not name.isdecimal()),
    )


def _text(types: dict[str, Any]) -> str:
    """What the person reads first: the body of the first kind of content that has one."""
    for content in types.values():
        if isinstance(content, dict) and isinstance(content.get("body"), str):
            return str(content["body"])
    return ""
