"""An MCP server over streamable HTTP, as the protocol's revision 2025-06-18 has it, and one that misbehaves."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOOLS: list[dict[str, Any]] = [
    {
        "name": "stock.level",
        "description": "How many are left of a product.",
        "inputSchema": {
            "type": "object",
            "properties": {"sku": {"$ref": "#/$defs/sku"}, "shop": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            "required": ["sku"],
            "$defs": {"sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"}},
        },
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": "cancel",
        "description": "Cancels an order.",
        "inputSchema": {"type": "object", "properties": {"order": {"type": "string"}}},
        "annotations": {"readOnlyHint": True, "destructiveHint": False},
    },
]


@dataclass
class MCPServer:
    """`streams`: answers come as events. `fault`: "" or protocol, 401, 500, html, error (of the tool)."""

    url: str = ""
    streams: bool = False
    fault: str = ""
    tools: list[dict[str, Any]] = field(default_factory=lambda: [dict(tool) for tool in TOOLS])
    methods: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """POST and DELETE /mcp."""
        if request.method == "DELETE":
            self.methods.append("delete")
            return web.Response(status=204)
        message = await request.json()
        self.methods.append(message["method"])
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.fault.isdigit():
            return web.Response(status=int(self.fault))
        if self.fault == "html":
            return web.Response(text="<html>", content_type="text/html")
        if "id" not in message:
            return web.Response(status=202)
        body = {"jsonrpc": "2.0", "id": message["id"], "result": self._result(message)}
        headers = {"Mcp-Session-Id": "s-1"}
        if not self.streams:
            return web.json_response(body, headers=headers)
        notice = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "working"}}
        text = "".join(f"event: message\ndata: {json.dumps(one)}\n\n" for one in (notice, body))
        return web.Response(text=text, content_type="text/event-stream", headers=headers)

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        parameters = message["params"]
        if message["method"] == "initialize":
            version = "1999-01-01" if self.fault == "protocol" else parameters["protocolVersion"]
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "fake"}}
        if message["method"] == "tools/list":
            first = not parameters.get("cursor")
            return {"tools": self.tools[:1], "nextCursor": "2"} if first else {"tools": self.tools[1:]}
        self.calls.append(parameters)
        if self.fault == "error":
            return {"content": [{"type": "text", "text": "no such sku"}], "isError": True}
        return {"content": [{"type": "text", "text": "7 left"}], "structuredContent": {"left": 7}}


@asynccontextmanager
async def running() -> AsyncIterator[MCPServer]:
    """A server on a free port."""
    server = MCPServer()
    app = web.Application()
    app.router.add_route("*", "/mcp", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    try:
        yield server
    finally:
        await runner.cleanup()
