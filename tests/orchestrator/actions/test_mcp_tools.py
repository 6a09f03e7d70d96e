"""Tools of an MCP server, called over real HTTP."""

from typing import Any

import pytest

from tests.factories.actions import Stage
from tests.fakes.mcp_server import MCPServer

SKU = {"sku": "AB-12"}


async def connect(stage: Stage, mcp: MCPServer, **settings: Any) -> None:
    await stage.add("mcp_tools", "erp", {"url": mcp.url, "read_only": ["stock.level"], **settings})
    mcp.methods.clear()


class TestRun:
    @pytest.mark.parametrize("streams", [False, True])
    async def test_a_tool_is_called(self, stage: Stage, mcp: MCPServer, streams: bool) -> None:
        await connect(stage, mcp, token="t0ken")
        mcp.streams = streams
        ran = await stage.run("erp_stock_level", SKU)
        assert ran.result.data == {"left": 7}
        assert mcp.methods == ["initialize", "notifications/initialized", "tools/call", "delete"]
        assert mcp.calls[0]["name"] == "stock.level"
        assert mcp.headers[-1]["mcp-session-id"] == "s-1"
        assert mcp.headers[-1]["authorization"] == "Bearer t0ken"
        assert "x-parley-signature" in mcp.headers[-1]

    async def test_its_schema_is_kept_to(self, stage: Stage, mcp: MCPServer) -> None:
        await connect(stage, mcp)
        ran = await stage.run("erp_stock_level", {"sku": "nonsense"})
        assert (ran.result.error or "").startswith("invalid_arguments")
        assert mcp.calls == []

    async def test_its_word_that_a_tool_is_harmless_counts_for_nothing(self, stage: Stage, mcp: MCPServer) -> None:
        await connect(stage, mcp)
        ran = await stage.run("erp_cancel", {"order": "1"})
        assert ran.status == "waiting"
        assert mcp.calls == []

    async def test_the_admin_may_let_it_be_called(self, stage: Stage, mcp: MCPServer) -> None:
        await stage.add("mcp_tools", "erp", {"url": mcp.url, "tools": ["cancel"]}, approval="never")
        assert [tool.name for tool in await stage.actions.offered(stage.brand)] == ["erp_cancel"]
        assert (await stage.run("erp_cancel", {"order": "1"})).result.ok

    @pytest.mark.parametrize(
        ("fault", "code"), [("401", "unauthorized"), ("500", "server_error"), ("html", "malformed")]
    )
    async def test_its_faults_are_results(self, stage: Stage, mcp: MCPServer, fault: str, code: str) -> None:
        await connect(stage, mcp)
        mcp.fault = fault
        ran = await stage.run("erp_stock_level", SKU)
        assert (ran.result.error or "").startswith(code)

    async def test_an_error_of_the_tool_is_its_words(self, stage: Stage, mcp: MCPServer) -> None:
        await connect(stage, mcp)
        mcp.fault = "error"
        ran = await stage.run("erp_stock_level", SKU)
        assert (ran.status, ran.result.data) == ("failed", {"text": "no such sku"})
