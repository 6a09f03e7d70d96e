"""What Twilio posts and answers: the parameters of webhooks, their signatures, the Message resource."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import urldefrag, urlencode

from twilio.request_validator import HMAC_SHA256, RequestValidator  # type: ignore[import-untyped]

from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.platforms import Line

API = "https://api.twilio.com"
VERSION = "2010-04-01"


def sid(prefix: str) -> str:
    """A new id, such as `SM` and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


def account_sid(account: Channel) -> str:
    """The Twilio account that a channel config belongs to."""
    return str(account.credentials.get("account_sid") or "")


def sender_of(account: Channel) -> str:
    """Our side's address: a number, a WhatsApp sender or a messaging service."""
    return str(account.credentials.get("from") or "")


def on_whatsapp(account: Channel) -> bool:
    """Whether customers reach the account on WhatsApp."""
    return sender_of(account).startswith("whatsapp:")


def address(account: Channel, typed: str) -> str:
    """A customer's address, however it was typed."""
    bare = typed.strip().removeprefix("whatsapp:")
    digits = "".join(character for character in bare if character.isdecimal())
    if len(digits) > 8 and not any(character.isalpha() for character in bare):
        bare = f"+{digits}"
    return f"whatsapp:{bare}" if on_whatsapp(account) else bare


def inbound(account: Channel, line: Line, message_sid: str) -> dict[str, str]:
    """The parameters of a customer's message; `line.message` adds to them, or replaces some."""
    sender, given = address(account, line.sender or ""), line.message or {}
    form = {
        "SmsMessageSid": message_sid,
        "SmsSid": message_sid,
        "MessageSid": message_sid,
        "SmsStatus": "received",
        "AccountSid": account_sid(account),
        "ApiVersion": VERSION,
        "From": sender,
        "To": sender_of(account),
        "Body": line.text or "",
        "NumSegments": "1",
        "NumMedia": str(sum(name.startswith("MediaUrl") for name in given)),
    }
    if sender_of(account).startswith("MG"):
        form |= {"To": "+15005550006", "MessagingServiceSid": sender_of(account)}
    if on_whatsapp(account):
        form |= _whatsapp(sender, line)
    else:
        form |= {"FromCountry": "US", "FromState": "", "FromCity": "", "FromZip": "", "ToCountry": "US"}
    return form | {name: _text(value) for name, value in given.items()}


def _whatsapp(sender: str, line: Line) -> dict[str, str]:
    name, number = line.name or "Customer", sender.removeprefix("whatsapp:+")
    context = {"ProfileName": name, "WaId": number}
    metadata = {"type": "whatsapp", "data": {"context": context}}
    form = {"ProfileName": name, "MessageType": _type(line.message or {}), "ReferralNumMedia": "0"}
    if number.isdecimal():
        form["WaId"] = number
    return form | {"ChannelMetadata": json.dumps(metadata, separators=(",", ":"))}


def _type(given: Mapping[str, Any]) -> str:
    if "Latitude" in given:
        return "location"
    if "ButtonPayload" in given or "ListId" in given:
        return "interactive"
    media_type = str(given.get("MediaContentType0") or "")
    if not media_type:
        return "text"
    if media_type == "text/vcard":
        return "contacts"
    family = media_type.partition("/")[0]
    return family if family in {"image", "audio", "video"} else "document"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value)


def status(
    form: Mapping[str, str], account: Channel, message_sid: str, name: str, code: int, words: str
) -> dict[str, str]:
    """The parameters of a status callback. `code` 0: nothing went wrong."""
    to = form["To"]
    told = {
        "ApiVersion": VERSION,
        "MessageStatus": name,
        "SmsSid": message_sid,
        "SmsStatus": name,
        "To": to,
        "From": form.get("From") or "+15005550006",
        "MessageSid": message_sid,
        "AccountSid": account_sid(account),
    }
    if service := form.get("MessagingServiceSid"):
        told["MessagingServiceSid"] = service
    if to.startswith("whatsapp:"):
        masked = to.removeprefix("whatsapp:")[:-4] + "XXXX"
        told |= {"ChannelPrefix": "whatsapp", "ChannelInstallSid": "XE" + "0" * 32, "ChannelToAddress": masked}
    if code:
        told |= {"ErrorCode": str(code)} | ({"ErrorMessage": words} if to.startswith("whatsapp:") else {})
    return told


def resource(
    form: Mapping[str, str], account: Channel, message_sid: str, made: float, name: str, code: int, files: int
) -> dict[str, Any]:
    """The Message resource as the API shows it."""
    service, moment = form.get("MessagingServiceSid"), formatdate(made).replace("-0000", "+0000")
    return {
        "sid": message_sid,
        "account_sid": account_sid(account),
        "messaging_service_sid": service,
        "from": form.get("From"),
        "to": form["To"],
        "body": form.get("Body", ""),
        "status": name,
        "num_segments": "1",
        "num_media": str(files),
        "direction": "outbound-api",
        "api_version": VERSION,
        "price": None,
        "price_unit": "USD",
        "error_code": code or None,
        "error_message": None,
        "date_created": moment,
        "date_updated": moment,
        "date_sent": None,
        "uri": f"/{VERSION}/Accounts/{account_sid(account)}/Messages/{message_sid}.json",
    }


def request(
    form: Mapping[str, str], url: str, account: Channel, *, as_json: bool, forged: bool
) -> tuple[str, bytes, dict[str, str]]:
    """URL, body and headers of one signed POST. The fragment of the URL is neither sent nor signed."""
    target = urldefrag(url)[0]
    headers = {"User-Agent": "TwilioProxy/1.1", "Accept": "*/*", "I-Twilio-Idempotency-Token": secrets.token_hex(16)}
    signed: Mapping[str, str]
    if as_json:
        body, signed = json.dumps(form).encode(), {}
        digest = hashlib.sha256(body).hexdigest()
        target = f"{target}{'&' if '?' in target else '?'}bodySHA256={digest}"
        headers["Content-Type"] = "application/json"
    else:
        body, signed = urlencode(form).encode(), form
        headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    return target, body, headers | signature(target, signed, account, forged=forged)


def signature(url: str, form: Mapping[str, str], account: Channel, *, forged: bool) -> dict[str, str]:
    """The headers that sign a request: by the account's token, or by the signing key that it has set up."""
    key_id = str(account.credentials.get("signing_key_id") or "")
    secret = str(account.credentials.get("signing_key_secret" if key_id else "auth_token") or "")
    if forged:
        secret = secrets.token_hex(16)
    if not key_id:
        return {"X-Twilio-Signature": RequestValidator(secret).compute_signature(url, form)}
    computed = RequestValidator(secret).compute_signature(url, form, HMAC_SHA256)
    settings = f"key={key_id},algorithm={HMAC_SHA256}"
    return {"X-Twilio-Signature": computed, "X-Twilio-Webhooks-Signature-Settings": settings}
