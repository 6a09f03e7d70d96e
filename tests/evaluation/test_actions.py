"""The measure of actions: its requests are the shop's, and its figures reach the goals."""

import random

import pytest

from evaluation import actions
from services.orchestrator.actions import Tool


@pytest.fixture(scope="module")
def offered() -> dict[str, Tool]:
    return actions.tools()


def test_every_action_of_the_shop_is_a_tool(offered: dict[str, Tool]) -> None:
    assert len(offered) == 30
    assert offered["notify_team"].parameters["properties"]["company_team"]["enum"][0] == "manager"


def test_recorded_values_find_their_slots(offered: dict[str, Tool]) -> None:
    by_tool = {request.tool: request.arguments for request in actions.recorded(offered)}
    assert by_tool["validate_purchase"]["order_id"] == "7916676427"
    assert by_tool["select_faq"] == {"storewide_query": "timing_4"}


def test_the_draw_is_the_same_each_time(offered: dict[str, Tool]) -> None:
    drawn = [actions.drawn(offered, random.Random(actions.SEED)) for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_a_wrong_value_is_not_counted_as_right() -> None:
    wanted = actions.Request("look_up", {"order_id": "1"}, "1")
    assert actions.is_right(("look_up", {"order_id": "1"}), wanted)
    assert not actions.is_right(("look_up", {"order_id": "2"}), wanted)
    assert not actions.is_right(("look_up", {}), wanted)
    assert not actions.is_right(None, wanted)


async def test_the_goals_are_reached() -> None:
    report = await actions.evaluate()
    assert [goal.name for goal in report.goals if not goal.is_reached] == []
