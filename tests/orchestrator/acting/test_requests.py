"""Finding what a model asks for, and nothing else."""

from typing import Any

import pytest

from services.orchestrator.acting import loose_json
from services.orchestrator.acting.requests import MOST_REQUESTS, find
from services.orchestrator.acting.tool_calls import ToolCallPieces
from services.orchestrator.actions import Identity, Risk, Tool

TOOLS = [
    Tool(name=name, description="", parameters={"type": "object"}, risk=Risk.READ, identity=Identity.ANYONE)
    for name in ("look_up_order", "open_ticket")
]
WANTED = ("look_up_order", {"order_id": "3348917502"})


class TestFindInText:
    @pytest.mark.parametrize(
        "text",
        [
            '```action\n{"action": "look_up_order", "arguments": {"order_id": "3348917502"}}\n```',
            '```json\n{"name": "look_up_order", "parameters": {"order_id": "3348917502"}}\n```',
            '```\n{"tool": "look_up_order", "input": {"order_id": "3348917502"}}\n```',
            '<tool_call>\n{"name": "look_up_order", "arguments": {"order_id": "3348917502"}}\n</tool_call>',
            '<action>{"action": "look_up_order", "order_id": "3348917502"}</action>',
            'ActionRequest: {"action": "look_up_order", "arguments": {"order_id": "3348917502"}}',
            'ActionRequest({"action": "look_up_order", "arguments": {"order_id": "3348917502"}})',
            '{"ActionRequest": {"action": "look_up_order", "arguments": {"order_id": "3348917502"}}}',
            '[{"type": "function", "function": {"name": "look_up_order", "arguments": {"order_id": "3348917502"}}}]',
            "```json\n{'action': 'look_up_order', 'arguments': {'order_id': '3348917502',},}\n```",
            '```action\n{"action": "lookUpOrder", "arguments": {"order_id": "3348917502"}',
            '```action\n{action: look_up_order, // the order\n arguments: {order_id: "3348917502"}}\n```',
            '{"action": "functions.look_up_order", "arguments": {"order_id": "3348917502"}}',
        ],
    )
    def test_every_form(self, text: str) -> None:
        found = find(text, [], TOOLS)
        assert [(one.name, one.arguments) for one in found.asked] == [WANTED]
        assert found.text == ""

    def test_what_is_said_beside_stays(self) -> None:
        text = 'One moment.\n```action\n{"action": "open_ticket"}\n```\nI am on it.'
        found = find(text, [], TOOLS)
        assert found.text == "One moment.\n\nI am on it."
        assert found.asked[0].name == "open_ticket"

    @pytest.mark.parametrize(
        "text",
        [
            "Your order is on its way.",
            'Send this:\n```json\n{"sku": "AB-1", "count": 2}\n```',
            'A badge holds {"name": "Crystal"} in its code.',
            "Use {braces} and [brackets] freely.",
            '{"name": "Crystal Minh", "city": "Leeds"}',
        ],
    )
    def test_other_texts_and_json_stay_as_they_are(self, text: str) -> None:
        found = find(text, [], TOOLS)
        assert (found.text, found.asked) == (text, ())

    def test_a_wrong_name_is_a_problem_to_be_told(self) -> None:
        [one] = find('{"action": "wipe_database", "arguments": {}}', [], TOOLS).asked
        assert one.problem == "There is no action 'wipe_database'. There are: look_up_order, open_ticket."

    def test_a_marked_block_that_is_no_json_is_a_problem_to_be_told(self) -> None:
        [one] = find("<tool_call>look_up_order(3348917502)</tool_call>", [], TOOLS).asked
        assert "not valid JSON" in one.problem

    def test_a_model_running_wild_is_cut_short(self) -> None:
        block = '```action\n{"action": "open_ticket"}\n```\n'
        assert len(find(block * 50, [], TOOLS).asked) == MOST_REQUESTS


class TestFindNative:
    @pytest.mark.parametrize(
        "arguments", ['{"order_id": "3348917502"}', {"order_id": "3348917502"}, '{"order_id": "3348']
    )
    def test_calls_keep_their_ids(self, arguments: Any) -> None:
        call = {"id": "call_7", "type": "function", "function": {"name": "look_up_order", "arguments": arguments}}
        [one] = find("", [call], TOOLS).asked
        assert (one.name, one.arguments, one.call_id) == ("look_up_order", arguments, "call_7")

    @pytest.mark.parametrize("call", [{}, {"function": None}, {"function": {"name": 7}}, {"function": {"name": "x"}}])
    def test_nonsense_is_a_problem_to_be_told(self, call: dict[str, Any]) -> None:
        [one] = find("", [call], TOOLS).asked
        assert one.problem

    def test_pieces_of_a_stream_come_together(self) -> None:
        pieces = ToolCallPieces()
        pieces.take([{"index": 0, "id": "a", "function": {"name": "look_up_order", "arguments": ""}}])
        pieces.take([{"index": 0, "function": {"arguments": '{"order_'}}])
        pieces.take([{"index": 1, "id": "b", "function": {"name": "open_ticket", "arguments": "{}"}}])
        pieces.take([{"index": 0, "function": {"arguments": 'id": "3"}'}}])
        pieces.take(None)
        assert [(call["id"], call["function"]["arguments"]) for call in pieces.whole()] == [
            ("a", '{"order_id": "3"}'),
            ("b", "{}"),
        ]

    def test_pieces_without_numbers(self) -> None:
        pieces = ToolCallPieces()
        pieces.take([{"id": "a", "function": {"name": "look_up_order", "arguments": '{"a'}}])
        pieces.take([{"function": {"arguments": '": 1}'}}])
        pieces.take([{"id": "b", "function": {"name": "open_ticket", "arguments": "{}"}}])
        assert [call["function"]["arguments"] for call in pieces.whole()] == ['{"a": 1}', "{}"]


class TestLooseJSON:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ('{"a": 1}', {"a": 1}),
            ("{'a': 'it\\'s'}", {"a": "it's"}),
            ("{a: True, b: None, c: undefined}", {"a": True, "b": None, "c": None}),
            ('{"a": [1, 2,], }', {"a": [1, 2]}),
            ('{"a": {"b": [1, 2', {"a": {"b": [1, 2]}}),
            ('{"a": "cut off', {"a": "cut off"}),
            ('{"a" "b"}', ["not this"]),
            ("{“a”: “b”}", {"a": "b"}),
            ('{"a": 1 /* why */, # and\n "b": 2 // so\n}', {"a": 1, "b": 2}),
            ('{"a": 1 "b": 2}', {"a": 1, "b": 2}),
            ("{order: 0033}", {"order": "0033"}),
            ('```json\n{"a": 1,}\n```', {"a": 1}),
            ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ],
    )
    def test_reads_what_is_meant(self, text: str, value: Any) -> None:
        if value == ["not this"]:
            with pytest.raises(loose_json.NotJSON):
                loose_json.loads(text)
        else:
            assert loose_json.loads(text) == value

    @pytest.mark.parametrize("text", ["", "{" * 5000, "x" * 30_000, "__import__('os')"])
    def test_never_does_more_than_read(self, text: str) -> None:
        try:
            value = loose_json.loads(text)
        except loose_json.NotJSON:
            value = None
        assert value is None or isinstance(value, str | dict)
