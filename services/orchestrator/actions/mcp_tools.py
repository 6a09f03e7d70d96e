"""Every tool of an MCP server that an admin connects.

What a server says of its tools is shown to the admin, and kept as it was then; its own hints that a tool is harmless
count for nothing, because it may say what it likes. Unless the admin lists a tool as a mere read, a person allows each
call of it.
"""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from services.orchestrator.actions import Action, ActionFailed, ActionResult, Context, Identity, Risk, Tool
from services.orchestrator.mcp_client import MCPFailed, Session, listed
from services.orchestrator.outside import Outside, OutsideFailed, checked_url
from services.orchestrator.tool_schemas import UnusableSchema, tamed

LIST_SECONDS = 10.0
LONGEST_DESCRIPTION = 1000
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]+")


class Settings(BaseModel):
    """The server, and which of its tools are used: all, or those listed. `read_only`: those that change nothing."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2000, examples=["https://tools.example/mcp"])
    token: SecretStr | None = Field(None, description="sent as Authorization: Bearer")
    tools: list[str] = Field(default_factory=list, max_length=64)
    read_only: list[str] = Field(default_factory=list, max_length=64)
    verified_only: bool = False
    timeout_seconds: float = Field(8.0, ge=0.5, le=10)

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        try:
            return checked_url(url)
        except OutsideFailed as failure:
            raise ValueError(failure.message) from failure


class MCPTools(Action):
    """Asks the server for its tools when the admin saves, and calls them one at a time."""

    description = "Tools of an MCP server."
    Arguments = BaseModel
    Settings = Settings
    risk = Risk.DANGEROUS
    is_repeatable = False

    async def tools(self, name: str, description: str, settings: Any, outside: Outside, secret: str) -> list[Tool]:
        """The server's tools as `<name>_<tool>`; those that cannot be described safely are left out."""
        try:
            found = await listed(_session(settings, outside, secret), LIST_SECONDS)
        except (MCPFailed, OutsideFailed) as failure:
            raise ActionFailed("unreachable", f"The MCP server cannot be used: {failure.message}") from failure
        wanted = [tool for tool in found if not settings.tools or tool.get("name") in settings.tools]
        tools = [tool for item in wanted[:64] if (tool := _tool(name, item, settings)) is not None]
        if not tools:
            raise ActionFailed("no_tools", "The MCP server offers no tool that can be used.")
        return list({tool.name: tool for tool in tools}.values())

    async def run(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """Call the tool; what it gives is data, and its errors are its words."""
        settings: Settings = context.settings
        session = _session(settings, context.outside, context.secret)
        session.seconds = min(settings.timeout_seconds, context.seconds)
        try:
            await session.open()
            result = await session.call(context.tool.remote, arguments, key=str(context.call_id))
            await session.close()
        except MCPFailed as failure:
            raise ActionFailed(failure.code, failure.message, is_certain=failure.is_certain) from failure
        data = _data(result)
        if result.get("isError") is True:
            return ActionResult(name=context.tool.name, ok=False, data=data, error="The tool reports an error.")
        return ActionResult(name=context.tool.name, ok=True, data=data)

    async def rehearse(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """What would be called."""
        data = {"server": context.settings.url, "tool": context.tool.remote, "arguments": arguments}
        return ActionResult(name=context.tool.name, ok=True, data=data)


def _session(settings: Settings, outside: Outside, secret: str) -> Session:
    token = settings.token.get_secret_value() if settings.token else ""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Session(outside=outside, url=settings.url, headers=headers, secret=secret, seconds=settings.timeout_seconds)


def _tool(prefix: str, item: dict[str, Any], settings: Settings) -> Tool | None:
    name = item.get("name")
    if not isinstance(name, str) or not name:
        return None
    try:
        parameters = tamed(item.get("inputSchema") or {"type": "object"})
    except UnusableSchema:
        return None
    return Tool(
        name=f"{prefix}_{_NOT_A_NAME.sub('_', name)}"[:64],
        description=str(item.get("description") or item.get("title") or name)[:LONGEST_DESCRIPTION],
        parameters=parameters,
        risk=Risk.READ if name in settings.read_only else Risk.DANGEROUS,
        identity=Identity.VERIFIED if settings.verified_only else Identity.ANYONE,
        remote=name,
    )


def _data(result: dict[str, Any]) -> dict[str, Any]:
    """Structured content where there is some, else the texts; pictures and sounds only by their kind."""
    structured = result.get("structuredContent")
    if isinstance(structured, dict):
        return dict(structured)
    content = result.get("content")
    parts = content if isinstance(content, list) else []
    texts = [str(part.get("text")) for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    others = [str(part.get("type")) for part in parts if isinstance(part, dict) and part.get("type") != "text"]
    return {"text": "\n".join(texts)} | ({"others": others} if others else {})


action = MCPTools()
