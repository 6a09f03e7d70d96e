"""Native tool calls of an OpenAI-compatible endpoint, over real HTTP."""

from services.orchestrator.engine.llm import Prompt, PromptMessage
from services.orchestrator.engine.llm.openai_compatible import OpenAICompatible
from tests.fakes.llm_server import LLMServer, Reply

TOOLS = [{"type": "function", "function": {"name": "look_up_order", "parameters": {"type": "object"}}}]


class TestComplete:
    async def test_calls_come_whole_without_any_text(
        self, server: LLMServer, model: OpenAICompatible, prompt: Prompt
    ) -> None:
        server.answers(Reply("", calls=(("look_up_order", '{"order_id": "3"}'), ("open_ticket", "{}"))))
        completion = await model.complete(prompt, tools=TOOLS)
        assert completion.text == ""
        assert [(call["id"], call["function"]) for call in completion.tool_calls] == [
            ("call_0", {"name": "look_up_order", "arguments": '{"order_id": "3"}'}),
            ("call_1", {"name": "open_ticket", "arguments": "{}"}),
        ]
        assert server.requests[-1]["tools"] == TOOLS

    async def test_without_tools_none_are_sent(
        self, server: LLMServer, model: OpenAICompatible, prompt: Prompt
    ) -> None:
        server.answers("Hello.")
        assert (await model.complete(prompt)).tool_calls == ()
        assert "tools" not in server.requests[-1]

    async def test_results_go_back_by_their_ids(
        self, server: LLMServer, model: OpenAICompatible, prompt: Prompt
    ) -> None:
        call = {"id": "call_0", "type": "function", "function": {"name": "look_up_order", "arguments": "{}"}}
        said = (
            PromptMessage("assistant", "", {"tool_calls": [call]}),
            PromptMessage("tool", '{"ok": true}', {"tool_call_id": "call_0"}),
        )
        server.answers("In transit.")
        await model.complete((*prompt, *said), tools=TOOLS)
        assert server.last_prompt[-2]["tool_calls"] == [call]
        assert server.last_prompt[-1] == {"role": "tool", "content": '{"ok": true}', "tool_call_id": "call_0"}
