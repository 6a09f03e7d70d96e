"""WhatsApp's error codes: what each means for a message, in plain words.

After Meta's "Error codes" page of the Cloud API. The same codes come in answers to sends and in `failed` statuses.
HTTP status codes do not sort errors: rate limits come with 400.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says: how a send ends, for whom, when it may go again, and the sentence for an agent.

    Without a `text` the platform's own details are the sentence.
    """

    outcome: Literal["retry", "held", "failed"]
    text: str = ""
    retry_after: float | None = None
    scope: Literal["person", "account"] = "person"
    account_down: bool = False


def _later(seconds: float, text: str) -> Meaning:
    return Meaning("retry", text, seconds)


def _all_later(seconds: float, text: str) -> Meaning:
    return Meaning("retry", text, seconds, "account")


def _never(text: str = "") -> Meaning:
    return Meaning("failed", text)


def _down(text: str) -> Meaning:
    return Meaning("failed", text, None, "account", True)


MEANINGS: Mapping[int, Meaning] = {
    # Later: the whole account
    2: _all_later(5, "WhatsApp is out of order for the moment."),
    4: _all_later(_MINUTE, "The app has made too many calls; WhatsApp takes more later."),
    80007: _all_later(_MINUTE, "The WhatsApp business account has reached its rate limit."),
    130429: _all_later(2, "The number sends more messages per second than WhatsApp allows."),
    131000: _all_later(5, "Something went wrong at WhatsApp."),
    131016: _all_later(5, "A service of WhatsApp is out of order for the moment."),
    131057: _all_later(2 * _MINUTE, "WhatsApp is moving the account (maintenance), which takes minutes."),
    2494100: _all_later(2 * _MINUTE, "WhatsApp is moving the account (maintenance), which takes minutes."),
    133004: _all_later(5, "WhatsApp's server is busy."),
    131048: _all_later(_HOUR, "WhatsApp slows this number down because people marked its messages as spam."),
    131064: _all_later(_HOUR, "WhatsApp has lowered the account's messaging limit, and it is reached."),
    368: _all_later(_HOUR, "WhatsApp has blocked the account for a while, for a violation of its policies."),
    # Later: this person, or this message
    1: _later(10, "WhatsApp could not handle the message; the request or its server may be at fault."),
    131056: _later(6, "Too many messages were sent to this customer in a short time."),
    131049: _later(_DAY, "WhatsApp did not deliver it: the customer got too much marketing lately."),
    134101: _later(10 * _MINUTE, "The template is still being prepared at WhatsApp."),
    # Held
    131047: Meaning("held", "More than 24 hours have passed since the customer last wrote; only a template may go."),
    # Never: the person
    130472: _never("WhatsApp did not deliver it: the customer is part of an experiment without marketing messages."),
    130497: _never("WhatsApp does not let this account write to customers in this country."),
    131021: _never("The recipient is the sending number itself."),
    131026: _never(
        "The customer cannot be reached on WhatsApp: no account, an app that is too old, or its terms not accepted."
    ),
    131030: _never("The customer's number is not on the test number's list of recipients."),
    131050: _never("The customer does not want marketing messages of this business any more."),
    131062: _never("This kind of message needs the customer's phone number, which they do not show."),
    137000: _never("The customer's WhatsApp identity has changed since it was last confirmed."),
    # Never: the content
    100: _never(),
    131008: _never(),
    131009: _never(),
    131051: _never("WhatsApp does not know this type of message."),
    131052: _never("WhatsApp could not load the customer's file."),
    131053: _never("WhatsApp could not take the file: its type, size or content is not allowed."),
    131055: _never("This template may only be sent through the marketing messages API."),
    131063: _never("Marketing templates are switched off for this API in the business account."),
    132000: _never("The number of values does not match the template's variables."),
    132001: _never("The template does not exist in this language, or is not approved."),
    132005: _never("The template's text is too long with its values filled in."),
    132007: _never("The template's text violates WhatsApp's policy."),
    132008: _never("A value of the template has a form that WhatsApp does not allow."),
    132012: _never("A value of the template is not of the kind that the template expects."),
    132015: _never("The template is paused because of low quality."),
    132016: _never("The template is disabled because of low quality."),
    132068: _never("The template's flow is blocked."),
    132069: _never("The template's flow is slowed down."),
    134100: _never("Only marketing templates may go through the marketing messages API."),
    134102: _never("The template may not be sent through the marketing messages API."),
    135000: _never("WhatsApp refuses a value of the message, without saying which."),
    # The account is out of order
    0: _down("WhatsApp does not accept the access token."),
    3: _down("The access token has no permission for this."),
    10: _down("The access token has no permission to send from this number."),
    33: _down("The phone number was deleted at WhatsApp."),
    190: _down("The access token is invalid or has expired."),
    131005: _down("The access token has no permission to send from this number."),
    131031: _down("WhatsApp has locked the business account."),
    131037: _down("The number's display name is not approved yet."),
    131042: _down("There is a problem with the WhatsApp account's payment method."),
    131045: _down("The number is not registered correctly at WhatsApp."),
    133010: _down("The number is not registered at WhatsApp."),
    **{code: _down("The access token has no permission for this.") for code in range(200, 300)},
}

_UNKNOWN = _never()
_NO_SUCH_OBJECT = 33
_GONE = _down("The phone number does not exist at WhatsApp, or the access token may not use it.")


def meaning(code: int, subcode: int | None = None) -> Meaning:
    """What a code means; one that is not known yet is a refusal for good, in the platform's own words."""
    if code == 100 and subcode == _NO_SUCH_OBJECT:
        return _GONE
    return MEANINGS.get(code, _UNKNOWN)


def own_words(error: Mapping[str, Any]) -> str:
    """What the platform says of an error: its title and details."""
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, Mapping) else None
    parts = [error.get("title") or error.get("message"), details]
    return ": ".join(dict.fromkeys(str(part) for part in parts if part)) or f"error {error.get('code')}"


def explanation(error: Mapping[str, Any]) -> str:
    """A plain sentence of an error as it stands in a webhook."""
    code = error.get("code")
    known = MEANINGS.get(code) if isinstance(code, int) else None
    return (known.text if known and known.text else own_words(error))[:500]
