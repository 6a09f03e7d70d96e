"""Native tool calls out of a streamed answer, whose pieces come one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 20_000
MOST = 16


class ToolCallPieces:
    """Puts the `delta.tool_calls` of an OpenAI-compatible stream together again.

    Endpoints differ: most number the calls by `index`, some leave it out, and some send the whole call at once.
    """

    def __init__(self) -> None:
        self._calls: dict[int, dict[str, Any]] = {}

    def take(self, pieces: Sequence[Mapping[str, Any]] | None) -> None:
        """The pieces of one event. What is too long or too many is cut off, and shows as malformed arguments."""
        for piece in pieces or ():
            call = self._of(piece)
            if call is None:
                continue
            function = piece.get("function") or {}
            call["id"] = piece.get("id") or call["id"]
            call["function"]["name"] += function.get("name") or ""
            given = function.get("arguments")
            if isinstance(given, Mapping):
                call["function"]["arguments"] = dict(given)
            elif given and isinstance(call["function"]["arguments"], str):
                call["function"]["arguments"] = (call["function"]["arguments"] + str(given))[:LONGEST]

    def whole(self) -> list[dict[str, Any]]:
        """The calls in order, in OpenAI's form."""
        return [call for _, call in sorted(self._calls.items()) if call["function"]["name"]]

    def _of(self, piece: Mapping[str, Any]) -> dict[str, Any] | None:
        index = piece.get("index")
        if not isinstance(index, int):
            is_next = not self._calls or (piece.get("id") and piece["id"] != self._calls[max(self._calls)]["id"])
            index = len(self._calls) if is_next else max(self._calls)
        if index not in self._calls and len(self._calls) >= MOST:
            return None
        return self._calls.setdefault(index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
