"""Instagram's error codes: what each means for a message, in plain words.

After Meta's "Error codes" pages of the Graph API and of the Messenger Platform, which Instagram's send API shares;
subcodes partly after reports of users. HTTP status codes do not sort errors: rate limits come with 400.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from services.channel_gateway.channels import SendResult
from services.channel_gateway.graph import GraphAnswer, GraphError

_MINUTE, _HOUR = 60.0, 3600.0


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says: how a send ends, for whom, when it may go again, and the sentence for an agent.

    Without a `text` the platform's own words are the sentence.
    """

    outcome: Literal["retry", "held", "failed"]
    text: str = ""
    retry_after: float | None = None
    scope: Literal["person", "account"] = "person"
    account_down: bool = False


def _all_later(seconds: float, text: str) -> Meaning:
    return Meaning("retry", text, seconds, "account")


def _never(text: str = "") -> Meaning:
    return Meaning("failed", text)


def _down(text: str) -> Meaning:
    return Meaning("failed", text, None, "account", True)


_CLOSED = Meaning("held", "Instagram's reply window is closed; it opens again when the customer writes.")
_AWAY = _never("The customer cannot be reached: they blocked the account, or closed or paused their own.")
_STRANGER = _never("Instagram knows no such customer of this account.")
_FORBIDDEN = _down("The access token has no permission to send messages; the account has to be connected again.")
_BUSY = Meaning("retry", "Something went wrong at Instagram; it is tried again.")

CODES: Mapping[int, Meaning] = {
    # Later: this message
    **dict.fromkeys((-1, 1, 2, 1200), _BUSY),
    # Later: the whole account
    4: _all_later(_MINUTE, "The app has made too many calls; Instagram takes more later."),
    17: _all_later(_MINUTE, "The account has made too many calls; Instagram takes more later."),
    32: _all_later(_MINUTE, "The account has made too many calls; Instagram takes more later."),
    613: _all_later(5, "The account sends more messages than Instagram allows in this time."),
    80002: _all_later(_MINUTE, "The Instagram account has reached its rate limit."),
    80006: _all_later(_MINUTE, "The account's messaging has reached its rate limit."),
    368: _all_later(_HOUR, "Instagram has blocked the account for a while, for a violation of its policies."),
    # Never
    100: _never(),
    551: _AWAY,
    # The account is out of order
    0: _down("Instagram does not accept the access token."),
    3: _down("The access token has no permission for this."),
    10: _FORBIDDEN,
    102: _down("The access token is invalid or has expired; the account has to be connected again."),
    190: _down("The access token is invalid or has expired; the account has to be connected again."),
    **dict.fromkeys(range(200, 300), _FORBIDDEN),
}

SUBCODES: Mapping[int, Meaning] = {
    33: _down("The account does not exist at Instagram, or the access token may not use it."),
    2018278: _CLOSED,
    2534022: _CLOSED,
    2018065: _CLOSED,
    2018001: _STRANGER,
    2534014: _STRANGER,
    2018108: _AWAY,
    1545041: _AWAY,
    2018008: Meaning("retry", "Instagram could not load the file from our address.", 15.0),
    2018047: _never("Instagram could not take the file: its type or content is not allowed."),
    2018109: _never("The file is larger than Instagram allows."),
}
"""Subcodes that say more than their code, whichever code they come with."""

_UNKNOWN = _never()
_NO_PERMISSION = frozenset({3, 10, *range(200, 300)})
_NO_AGENTS = _never(
    "Instagram's reply window is closed, and the Meta app may not answer as a person after it: it lacks the feature "
    '"Human Agent", which Meta approves.'
)


def meaning(error: GraphError) -> Meaning:
    """What an error means; one that is not known yet is a refusal for good, in the platform's own words."""
    if error.code == 10 and "outside of allowed window" in error.message:  # some versions give no subcode with it
        return _CLOSED
    return SUBCODES.get(error.subcode or -1) or CODES.get(error.code, _UNKNOWN)


def result(answer: GraphAnswer, *, tagged: bool = False) -> SendResult:
    """How a send ended, of a call that did not go well; `tagged` ones claimed to be a person's late answer."""
    if answer.lost == "unreachable":
        return SendResult(outcome="retry", code="unreachable", reason=answer.reason[:500])
    if answer.lost == "no_answer":
        return SendResult(outcome="in_doubt", code="no_answer", reason=answer.reason[:500])
    if answer.error:
        known = meaning(answer.error)
        if tagged and known.account_down and answer.error.code in _NO_PERMISSION:
            known = _NO_AGENTS  # what is missing is the permission for the tag; everything else may well work
        return SendResult(
            outcome=known.outcome,
            code=str(answer.error.code),
            reason=(known.text or answer.error.text)[:500],
            retry_after=(answer.retry_after or known.retry_after) if known.outcome == "retry" else None,
            scope=known.scope,
            account_down=known.account_down,
        )
    outcome: Literal["retry", "failed"] = "retry" if answer.temporary else "failed"
    return SendResult(
        outcome=outcome, code=f"http_{answer.status}", reason=answer.reason[:500], retry_after=answer.retry_after
    )
