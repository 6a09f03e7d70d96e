"""A client of MCP servers over streamable HTTP, as far as tools need it: initialize, tools/list, tools/call.

Protocol: Model Context Protocol, revision 2025-06-18, JSON-RPC 2.0. A server answers with JSON or with a stream of
events that holds the answer; either comes whole through the guarded client, within its limits.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from services.orchestrator.outside import Answered, Call, Outside, OutsideFailed

PROTOCOL = "2025-06-18"
SUPPORTED = frozenset({"2025-11-25", PROTOCOL, "2025-03-26", "2024-11-05"})
MOST_PAGES = 10
_CLIENT = {"name": "parley", "version": "1.0"}


class MCPFailed(Exception):
    """The server refuses, or does not keep to the protocol. `code` is one word for records."""

    def __init__(self, code: str, message: str, *, is_certain: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.is_certain = is_certain


@dataclass(slots=True, kw_only=True)
class Session:
    """One conversation with a server, for the length of one call.

    Args:
        headers: such as an Authorization header; never logged.
        seconds: for each request.
    """

    outside: Outside
    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    secret: str = field(default="", repr=False)
    seconds: float = 5.0
    _number: int = 0
    _session_id: str = ""
    _protocol: str = ""

    async def open(self) -> None:
        """Agree on the protocol.

        Raises:
            MCPFailed, OutsideFailed: it is no MCP server that we can speak with, or it is away.
        """
        asked = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": _CLIENT}
        agreed = await self._ask("initialize", asked)
        version = agreed.get("protocolVersion")
        if version not in SUPPORTED:
            raise MCPFailed(
                "protocol", f"The server speaks the protocol {str(version)[:40]!r}, which is not supported."
            )
        self._protocol = str(version)
        await self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def close(self) -> None:
        """End the server's session, if it made one; a server that does not care is left alone."""
        if self._session_id:
            call = Call(method="DELETE", url=self.url, headers=self._all_headers(), secret=self.secret, seconds=1.0)
            try:
                await self.outside.send(call)
            except OutsideFailed:
                self._session_id = ""

    async def tools(self) -> list[dict[str, Any]]:
        """All tools, as the server describes them.

        Raises:
            MCPFailed, OutsideFailed: as for `open`.
        """
        found: list[dict[str, Any]] = []
        cursor: Any = None
        for _ in range(MOST_PAGES):
            page = await self._ask("tools/list", {"cursor": cursor} if cursor else {})
            listed = page.get("tools")
            found += [tool for tool in listed if isinstance(tool, dict)] if isinstance(listed, list) else []
            cursor = page.get("nextCursor")
            if not cursor:
                break
        return found

    async def call(self, name: str, arguments: dict[str, Any], *, key: str) -> dict[str, Any]:
        """The result of a tool: `content`, `structuredContent` and `isError`, as the server gave them.

        Args:
            key: tells repeats apart, for servers that look at `_meta`.

        Raises:
            MCPFailed, OutsideFailed: there is none.
        """
        meta = {"idempotencyKey": key}
        return await self._ask("tools/call", {"name": name, "arguments": arguments, "_meta": meta}, is_certain=False)

    async def _ask(self, method: str, parameters: dict[str, Any], *, is_certain: bool = True) -> dict[str, Any]:
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": parameters}
        answered = await self._send(message)
        _check_status(answered, is_certain)
        self._session_id = answered.headers.get("mcp-session-id", self._session_id)
        answer = _answer(answered, self._number)
        if answer is None:
            raise MCPFailed("malformed", "The server's answer is not the protocol's.", is_certain=is_certain)
        if isinstance(error := answer.get("error"), dict):
            raise MCPFailed("rejected", f"The server refused: {str(error.get('message'))[:200]}")
        result = answer.get("result")
        if not isinstance(result, dict):
            raise MCPFailed("malformed", "The server's answer has no result.", is_certain=is_certain)
        return result

    async def _send(self, message: dict[str, Any]) -> Answered:
        call = Call(
            method="POST",
            url=self.url,
            headers=self._all_headers(),
            body=message,
            secret=self.secret,
            seconds=self.seconds,
            max_bytes=512 * 1024,
            is_whole=_has_answer if "id" in message else None,
        )
        return await self.outside.send(call)

    def _all_headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json, text/event-stream"} | self.headers
        if self._session_id:
            headers["Mcp-Session-Id"] = self._session_id
        if self._protocol:
            headers["MCP-Protocol-Version"] = self._protocol
        return headers


def _check_status(answered: Answered, is_certain: bool) -> None:
    if answered.status in {401, 403}:
        raise MCPFailed("unauthorized", f"The server refused the log-in ({answered.status}).")
    if answered.status >= 500:
        raise MCPFailed("server_error", f"The server failed ({answered.status}).", is_certain=is_certain)
    if not 200 <= answered.status < 300:
        raise MCPFailed("rejected", f"The server did not take the request ({answered.status}).")


def _answer(answered: Answered, number: int) -> dict[str, Any] | None:
    """The message that answers a request, out of one JSON body or a stream of events."""
    text = answered.body.decode("utf-8", "replace")
    bodies = _events(text) if answered.media_type == "text/event-stream" else [text]
    for body in bodies:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            continue
        for one in message if isinstance(message, list) else [message]:
            if isinstance(one, dict) and one.get("id") == number and ("result" in one or "error" in one):
                return one
    return None


def _has_answer(body: bytes) -> bool:
    """Whether a stream of events holds the answer already; a server may leave it open. Notices come before it."""
    return b"data:" in body and body.endswith((b"\n\n", b"\r\n\r\n")) and (b'"result"' in body or b'"error"' in body)


def _events(text: str) -> list[str]:
    """The data of each server-sent event."""
    blocks = text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
    return [
        "\n".join(line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:"))
        for block in blocks
    ]


async def listed(session: Session, seconds: float) -> list[dict[str, Any]]:
    """All tools of a server, in one go.

    Raises:
        MCPFailed, OutsideFailed: there are none to be had within the time.
    """
    try:
        async with asyncio.timeout(seconds):
            await session.open()
            tools = await session.tools()
            await session.close()
    except TimeoutError as error:
        raise MCPFailed("timeout", f"The server did not answer within {seconds:g} seconds.") from error
    return tools
