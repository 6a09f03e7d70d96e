"""Errors as the Graph API words them: codes, statuses and texts of Meta's error reference."""

import secrets
from dataclasses import dataclass

from starlette.responses import JSONResponse


@dataclass(eq=False)
class GraphError(Exception):
    """A refusal. `code` is what clients decide by; `details` is for people."""

    code: int
    details: str | None = None
    message: str | None = None
    subcode: int | None = None
    status: int | None = None

    def response(self) -> JSONResponse:
        """The answer, in the Graph API's envelope."""
        status, message = KNOWN.get(self.code, (400, "Unknown error"))
        prefix = "" if self.code in _UNPREFIXED else f"(#{self.code}) "
        error: dict[str, object] = {
            "message": prefix + (self.message or message),
            "type": "OAuthException",
            "code": self.code,
        }
        details = self.details or DETAILS.get(self.code)
        if details is not None:
            error["error_data"] = {"messaging_product": "whatsapp", "details": details}
        subcode = self.subcode or _SUBCODES.get(self.code)
        if subcode is not None:
            error["error_subcode"] = subcode
        error["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
        return JSONResponse({"error": error}, status_code=self.status or status)


_UNPREFIXED = frozenset({0, 190})
_SUBCODES = {130429: 2494055}

KNOWN: dict[int, tuple[int, str]] = {
    0: (401, "Authentication Error"),
    1: (400, "API Unknown"),
    2: (503, "API Service"),
    3: (403, "API Method"),
    4: (400, "API Too Many Calls"),
    10: (403, "Permission Denied"),
    100: (400, "Invalid parameter"),
    190: (401, "Invalid OAuth access token - Cannot parse access token"),
    368: (403, "Temporarily blocked for policies violations"),
    80007: (400, "Rate limit issues"),
    130429: (400, "Rate limit hit"),
    130472: (400, "User's number is part of an experiment"),
    130497: (400, "Business account is restricted from messaging users in this country."),
    131000: (500, "Something went wrong"),
    131005: (403, "Access denied"),
    131008: (400, "Required parameter is missing"),
    131009: (400, "Parameter value is not valid"),
    131016: (500, "Service unavailable"),
    131021: (400, "Recipient cannot be sender"),
    131026: (400, "Message undeliverable"),
    131030: (400, "Recipient phone number not in allowed list"),
    131031: (403, "Account has been locked"),
    131037: (400, "Display name approval needed"),
    131042: (400, "Business eligibility payment issue"),
    131045: (500, "Incorrect certificate"),
    131047: (400, "Re-engagement message"),
    131048: (400, "Spam rate limit hit"),
    131049: (400, "This message was not delivered to maintain healthy ecosystem engagement."),
    131050: (400, "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages."),
    131051: (400, "Unsupported message type"),
    131052: (400, "Media download error"),
    131053: (400, "Media upload error"),
    131056: (400, "(Business Account, Consumer Account) pair rate limit hit"),
    131057: (500, "Account in maintenance mode"),
    131062: (400, "Business-scoped user id recipients are not supported for this message"),
    132000: (400, "Number of parameters does not match the expected number of params"),
    132001: (404, "Template name does not exist in the translation"),
    132015: (400, "Template is Paused"),
    132016: (400, "Template is Disabled"),
    133004: (503, "Server Temporarily Unavailable"),
    133010: (400, "Phone number Not Registered"),
}

DETAILS: dict[int, str] = {
    80007: "The WhatsApp Business Account has reached its rate limit.",
    130429: "Cloud API message throughput has been reached.",
    131000: "Unknown error.",
    131016: "A service is temporarily unavailable.",
    131026: "Message undeliverable.",
    131030: "Add the number to the list of test recipients.",
    131031: "The business account has been locked.",
    131047: "More than 24 hours have passed since the recipient last replied.",
    131056: "Too many messages sent from this phone number to the same phone number in a short period of time.",
}
