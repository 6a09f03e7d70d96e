"""Twilio's error codes, after its "Error and Warning Dictionary": what to do, and what to say to an agent."""

from dataclasses import dataclass
from typing import Literal

from services.channel_gateway.channels import SendResult

Class = Literal["later", "later_person", "held", "failed", "down"]
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means: later (everybody waits), later_person, held (window), failed for good, down (the account)."""

    kind: Class
    text: str
    seconds: float | None = None


_NOT_A_NUMBER = "The customer's number is not a valid phone number."
_UNREACHABLE = "The customer's number cannot be reached with this kind of message."
_STOPPED = "The customer has asked to get no more messages (STOP)."
_BAD_SENDER = "The channel's sender cannot send messages; check the number in the Twilio console."
_MEDIA = "The file cannot be sent: its kind, size or address was refused."

MEANINGS: dict[int, Meaning] = {
    20429: Meaning("later", "Twilio limits how many requests are made at once.", 2.0),
    20500: Meaning("later", "Twilio has a problem of its own.", 5.0),
    20503: Meaning("later", "Twilio is not available just now.", 5.0),
    14107: Meaning("later", "Too many messages are sent at once.", 5.0),
    21611: Meaning("later", "The sender's queue at Twilio is full.", 60.0),
    30001: Meaning("later", "The message waited too long in Twilio's queue.", 60.0),
    30008: Meaning("later_person", "The carrier did not deliver the message, and does not say why.", 60.0),
    63018: Meaning("later", "The sender has reached the channel's rate limit.", 5.0),
    63119: Meaning("later", "WhatsApp limits how fast the sender may send.", 60.0),
    63038: Meaning("later", "The account has used up its messages for today.", 6 * _HOUR),
    63016: Meaning(
        "held", "More than 24 hours have passed since the customer last wrote; only a template may be sent."
    ),
    21610: Meaning("failed", _STOPPED),
    63014: Meaning("failed", "The customer has blocked the sender."),
    63032: Meaning("failed", "WhatsApp does not let this customer get the message just now."),
    63033: Meaning("failed", "The customer has blocked or reported the sender."),
    21211: Meaning("failed", _NOT_A_NUMBER),
    21217: Meaning("failed", _NOT_A_NUMBER),
    21614: Meaning("failed", "The customer's number cannot get SMS."),
    21612: Meaning("failed", "This sender cannot reach the customer's number."),
    21408: Meaning("failed", "Sending to the customer's country is not switched on in the Twilio console."),
    21635: Meaning("failed", "The customer's number is a landline."),
    30003: Meaning("failed", "The customer's phone cannot be reached: switched off, or without service."),
    30004: Meaning("failed", "The customer's number or carrier blocks this message."),
    30005: Meaning("failed", "The customer's number does not exist any more."),
    30006: Meaning("failed", "The customer's number is a landline, or its carrier cannot be reached."),
    30007: Meaning("failed", "The carrier filtered the message out as unwanted."),
    30034: Meaning("failed", "The carrier refuses messages of this number: it is not registered (A2P 10DLC)."),
    30036: Meaning("failed", "The message was not delivered in time, so Twilio gave it up."),
    63003: Meaning("failed", "The customer cannot be found on the channel."),
    63024: Meaning("failed", "The customer's number is not on WhatsApp, or cannot get messages of businesses."),
    63049: Meaning("failed", "WhatsApp declined to deliver this marketing message to the customer."),
    63050: Meaning("failed", "The customer has stopped marketing messages."),
    21602: Meaning("failed", "The message has no text."),
    21617: Meaning("failed", "The message is longer than 1,600 characters."),
    21619: Meaning("failed", "The message has neither text nor file."),
    21620: Meaning("failed", _MEDIA),
    21623: Meaning("failed", "The message has too many files."),
    21654: Meaning("failed", "The template is not known to Twilio."),
    21655: Meaning("failed", "The template is not known to Twilio."),
    21656: Meaning("failed", "The template's variables do not fit."),
    11751: Meaning("failed", _MEDIA),
    12300: Meaning("failed", _MEDIA),
    63005: Meaning("failed", "WhatsApp did not accept the message's content."),
    63013: Meaning("failed", "The message breaks a rule of the channel."),
    63019: Meaning("failed", "WhatsApp could not fetch the file."),
    63021: Meaning("failed", "The message's content is not valid on this channel."),
    63027: Meaning("failed", "The template does not exist in this language."),
    63028: Meaning("failed", "The number of the template's variables does not fit."),
    63030: Meaning("failed", "The message has a parameter that the channel does not know."),
    63040: Meaning("failed", "The template was rejected by WhatsApp."),
    63041: Meaning("failed", "The template is paused by WhatsApp."),
    63042: Meaning("failed", "The template is disabled by WhatsApp."),
    21609: Meaning("failed", "Twilio cannot call this server back: its public address is not a public https URL."),
    20003: Meaning("down", "Twilio refuses the credentials: account SID, auth token or API key are wrong."),
    20005: Meaning("down", "The Twilio account is not active."),
    20006: Meaning("down", "The credentials may not do this."),
    20008: Meaning("down", "The credentials are Twilio's test credentials, which send nothing."),
    21210: Meaning("down", _BAD_SENDER),
    21212: Meaning("down", _BAD_SENDER),
    21603: Meaning("down", "The channel has no sender."),
    21606: Meaning("down", _BAD_SENDER),
    21608: Meaning("failed", "The Twilio account is on trial: it may write to verified numbers only."),
    21659: Meaning("down", _BAD_SENDER),
    21660: Meaning("down", _BAD_SENDER),
    21701: Meaning("down", "The messaging service does not exist."),
    21703: Meaning("down", "The messaging service has no sender."),
    21704: Meaning("down", "The messaging service has no sender for this message."),
    30002: Meaning("down", "The Twilio account is suspended."),
    63001: Meaning("down", "WhatsApp refuses the sender's credentials."),
    63007: Meaning("down", "Twilio knows no such sender on this channel."),
    63010: Meaning("later", "The channel has a problem of its own.", 10.0),
    63012: Meaning("later", "WhatsApp has a problem of its own.", 10.0),
    63020: Meaning("down", "The business has not accepted Twilio's invitation to its WhatsApp account."),
    63051: Meaning("down", "WhatsApp has locked the business account."),
    63112: Meaning("down", "Meta has disabled the business account."),
}


def explanation(code: int | None, message: str | None = None) -> str:
    """A plain sentence for an agent: ours for the code, else Twilio's own words."""
    if code in MEANINGS:
        return MEANINGS[code].text
    return (message or "").strip()[:300] or "Twilio does not say why."


def refusal(status: int, code: int | None, message: str, retry_after: float | None = None) -> SendResult:
    """How a send ended that Twilio answered with an error.

    Args:
        status: of the HTTP answer.
        code: Twilio's error code, None where the answer has none.
        message: Twilio's words.
        retry_after: seconds, of the header.
    """
    meaning = MEANINGS.get(code or 0)
    name = str(code) if code else f"http_{status}"
    reason = explanation(code, message)
    if meaning is None:
        return _unknown(status, name, reason, retry_after)
    wait = retry_after if retry_after is not None else meaning.seconds
    match meaning.kind:
        case "later":
            return SendResult(outcome="retry", code=name, reason=reason, retry_after=wait, scope="account")
        case "later_person":
            return SendResult(outcome="retry", code=name, reason=reason, retry_after=wait)
        case "held":
            return SendResult(outcome="held", code=name, reason=reason)
        case "down":
            return SendResult(outcome="failed", code=name, reason=reason, scope="account", account_down=True)
    return SendResult(outcome="failed", code=name, reason=reason)


def _unknown(status: int, name: str, reason: str, retry_after: float | None) -> SendResult:
    if status == 504:  # a proxy gave up waiting; the message may have been taken behind it
        return SendResult(outcome="in_doubt", code=name, reason="Twilio did not answer in time.")
    if status >= 500 or status in {408, 429}:
        wait = retry_after if retry_after is not None else 5.0
        return SendResult(outcome="retry", code=name, reason=reason, retry_after=wait, scope="account")
    if status == 401:
        text = MEANINGS[20003].text
        return SendResult(outcome="failed", code=name, reason=text, scope="account", account_down=True)
    return SendResult(outcome="failed", code=name, reason=reason)
