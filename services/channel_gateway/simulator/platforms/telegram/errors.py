"""The Bot API's answers to what it refuses, with the texts of Telegram's server."""

import math
from typing import Any

from starlette.responses import JSONResponse, Response


class BotError(Exception):
    """A refusal; `parameters` stand beside the text."""

    def __init__(self, status: int, text: str, **parameters: Any) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.parameters = parameters

    def response(self) -> Response:
        """The whole answer."""
        body: dict[str, Any] = {"ok": False, "error_code": self.status, "description": self.text}
        if self.parameters:
            body["parameters"] = self.parameters
        return JSONResponse(body, status_code=self.status)


def bad(text: str) -> BotError:
    """A request that Telegram cannot carry out."""
    return BotError(400, f"Bad Request: {text}")


def too_many(seconds: float) -> BotError:
    """A limit was exceeded."""
    wait = max(1, math.ceil(seconds))
    return BotError(429, f"Too Many Requests: retry after {wait}", retry_after=wait)


def migrated(chat_id: int) -> BotError:
    """The group has a new id."""
    text = "Bad Request: group chat was upgraded to a supergroup chat"
    return BotError(400, text, migrate_to_chat_id=chat_id)


UNAUTHORIZED = (401, "Unauthorized")
NOT_FOUND = (404, "Not Found")
CONFLICT = (
    409,
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
)
# Errors that can be ordered (PUT /faults, `errors`), by status or by name.
ORDERED: dict[str, tuple[int, str]] = {
    "401": UNAUTHORIZED,
    "404": NOT_FOUND,
    "409": CONFLICT,
    "403": (403, "Forbidden: bot was blocked by the user"),
    "blocked": (403, "Forbidden: bot was blocked by the user"),
    "deactivated": (403, "Forbidden: user is deactivated"),
    "kicked": (403, "Forbidden: bot was kicked from the supergroup chat"),
    "400": (400, "Bad Request: chat not found"),
    "chat_not_found": (400, "Bad Request: chat not found"),
    "parse_entities": (400, 'Bad Request: can\'t parse entities: Unsupported start tag "" at byte offset 2'),
    "too_long": (400, "Bad Request: message is too long"),
    "500": (500, "Internal Server Error"),
}


def ordered(name: str) -> BotError:
    """The error of a fault, by its name in the fault box."""
    if name == "429":
        return too_many(1)
    status, text = ORDERED.get(name, (400, f"Bad Request: {name}"))
    return BotError(status, text)
