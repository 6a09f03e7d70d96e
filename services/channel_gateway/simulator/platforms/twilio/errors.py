"""Twilio's errors as its API words them, and which of them come by status callback instead."""

from dataclasses import dataclass

from starlette.responses import JSONResponse

KNOWN: dict[int, tuple[int, str]] = {
    20001: (400, "Invalid parameter"),
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    21211: (400, "The 'To' number is not a valid phone number."),
    21408: (400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21606: (400, "The From phone number is not a valid, SMS-capable inbound phone number"),
    21608: (400, "The number is unverified. Trial accounts cannot send messages to unverified numbers"),
    21609: (400, "The 'StatusCallback' URL is not a valid URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (400, "This 'From' number has exceeded the maximum number of queued messages"),
    21612: (400, "The 'To' phone number is not currently reachable using the 'From' phone number"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21620: (400, "Invalid media URL(s)"),
    21623: (400, "Number of media files exceeds allowed limit"),
    21656: (400, "The ContentVariables parameter is invalid"),
    21701: (400, "The Messaging Service does not exist"),
    63007: (400, "Twilio could not find a Channel with the specified From address"),
    63038: (429, "Account exceeded the daily messages limit"),
}
"""Code to HTTP status and message of those that a request is refused with."""

LATER: dict[int, str] = {
    30001: "Queue overflow",
    30002: "Account suspended",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    63014: "Message failed to be sent because it was blocked by the recipient.",
    63016: "Failed to send freeform message because you are outside the allowed window.",
    63018: "Rate limit exceeded for Channel",
    63021: "Channel invalid content error",
    63024: "Invalid message recipient",
}
"""Code to message of those that a status callback tells of a message that was accepted."""

_UNDELIVERED = frozenset({30003, 30004, 30005, 30006, 30007, 30008, 63024})


@dataclass(eq=False)
class TwilioError(Exception):
    """A refusal of the API."""

    code: int
    message: str | None = None

    def response(self) -> JSONResponse:
        """The answer in Twilio's form."""
        status, wording = KNOWN.get(self.code, (400, LATER.get(self.code, "Unknown error")))
        body = {
            "code": self.code,
            "message": self.message or wording,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": status,
        }
        return JSONResponse(body, status_code=status)


def last_status(code: int) -> str:
    """What a message with this error ends as: undelivered (the carrier said no) or failed."""
    return "undelivered" if code in _UNDELIVERED else "failed"
