"""What the Messages resource demands of a new message, after its API reference."""

import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.platforms.twilio.errors import TwilioError
from services.channel_gateway.simulator.platforms.twilio.payloads import sender_of

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_SHORT_CODE = re.compile(r"\d{3,8}")
_USER_ID = re.compile(r"[A-Z]{2}\.[\w.]+")
_CONTENT = re.compile(r"HX[0-9a-fA-F]{32}")
LONGEST = 1600
_MOST_FILES = {"whatsapp": 1, "sms": 10}


@dataclass(frozen=True, slots=True)
class Order:
    """A message that Twilio accepts. `to` is as given, `form` all that was given."""

    to: str
    body: str
    media: tuple[str, ...]
    content_sid: str | None
    callback: str | None
    form: dict[str, str]

    @property
    def on_whatsapp(self) -> bool:
        """Whether it goes over WhatsApp."""
        return self.to.startswith("whatsapp:")


def check(pairs: list[tuple[str, str]], account: Channel) -> Order:
    """Check a message.

    Raises:
        TwilioError: what Twilio would answer.
    """
    form = dict(pairs)
    media = tuple(value for name, value in pairs if name == "MediaUrl")
    to, body, content_sid = form.get("To", ""), form.get("Body", ""), form.get("ContentSid") or None
    _check_addresses(to, form, account)
    if not body and not media and content_sid is None:
        raise TwilioError(21602 if "Body" in form else 21619, "A text message body or media urls must be specified.")
    if len(body) > LONGEST:
        raise TwilioError(21617)
    if len(media) > _MOST_FILES["whatsapp" if to.startswith("whatsapp:") else "sms"]:
        raise TwilioError(21623)
    if not all(_is_url(url) for url in media):
        raise TwilioError(21620)
    _check_template(content_sid, form)
    callback = form.get("StatusCallback") or None
    if callback is not None and not _is_url(callback):
        raise TwilioError(21609)
    return Order(to, body, media, content_sid, callback, form)


def _check_addresses(to: str, form: dict[str, str], account: Channel) -> None:
    sender, service = form.get("From", ""), form.get("MessagingServiceSid", "")
    if not to:
        raise TwilioError(21604)
    if not sender and not service:
        raise TwilioError(21603)
    own = sender_of(account)
    if own not in (sender, service):
        raise TwilioError(_unknown_sender(sender, service))
    number = to.removeprefix("whatsapp:")
    on_whatsapp = to.startswith("whatsapp:")
    valid = _E164.fullmatch(number) or (_USER_ID if on_whatsapp else _SHORT_CODE).fullmatch(number)
    if not valid:
        raise TwilioError(21211, f"The 'To' number {to} is not a valid phone number.")
    if sender and sender.startswith("whatsapp:") != on_whatsapp:
        raise TwilioError(63007 if on_whatsapp else 21612)


def _unknown_sender(sender: str, service: str) -> int:
    if service:
        return 21701
    return 63007 if sender.startswith("whatsapp:") else 21606


def _check_template(content_sid: str | None, form: dict[str, str]) -> None:
    if content_sid is not None and not _CONTENT.fullmatch(content_sid):
        raise TwilioError(20001, "Invalid ContentSid")
    if "ContentVariables" not in form:
        return
    try:
        variables = json.loads(form["ContentVariables"])
    except ValueError:
        raise TwilioError(21656) from None
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise TwilioError(21656)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)
