"""Instagram's errors, as Meta words them: HTTP status, message and type of each code."""

import secrets
from collections.abc import Mapping
from typing import ClassVar

from starlette.responses import JSONResponse

from services.channel_gateway.simulator.graph import COMMON, GraphError, Wording

WORDINGS: Mapping[int, Wording] = {
    **COMMON,
    2: Wording(500, "An unexpected error has occurred. Please retry your request later."),
    4: Wording(400, "Application request limit reached"),
    10: Wording(403, "This message is sent outside of allowed window.", subcode=2018278),
    190: Wording(400, "Error validating access token"),
    230: Wording(403, "Requires instagram_manage_messages permission"),
    368: Wording(400, "The action attempted has been deemed abusive or is otherwise disallowed"),
    551: Wording(400, "This person isn't available right now."),
    613: Wording(400, "Calls to this api have exceeded the rate limit."),
    1200: Wording(500, "Temporary send message failure. Please try again later."),
}
NO_SUCH_PERSON = 2018001
NO_SUCH_FILE = 2018008

_OF_THE_TOKEN = frozenset({0, 3, 10, 190, 200, 230})
_UNPREFIXED = frozenset({0, 2, 190})


class InstagramError(GraphError):
    """A refusal of Instagram's: as the Graph API words it, with a type of its own."""

    wordings: ClassVar[Mapping[int, Wording]] = WORDINGS

    def response(self) -> JSONResponse:
        """The answer, in the Graph API's envelope."""
        wording = self.wordings.get(self.code) or Wording(400, "Unknown error")
        prefix = "" if self.code in _UNPREFIXED else f"(#{self.code}) "
        error: dict[str, object] = {
            "message": prefix + (self.message or wording.message),
            "type": "OAuthException" if self.code in _OF_THE_TOKEN else "IGApiException",
            "code": self.code,
        }
        subcode = self.subcode or wording.subcode
        if subcode is not None:
            error["error_subcode"] = subcode
        error["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
        return JSONResponse({"error": error}, status_code=self.status or wording.status)
