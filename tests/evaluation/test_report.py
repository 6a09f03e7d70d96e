"""What a suite prints."""

import pytest

from evaluation.report import Goal, Report, Table, markdown


@pytest.mark.parametrize(
    ("goal", "reached"),
    [
        (Goal("x", 0.77, at_least=0.77), True),
        (Goal("x", 0.76, at_least=0.77), False),
        (Goal("x", 1, at_most=0), False),
        (Goal("x", 0, at_most=0), True),
    ],
)
def test_a_goal_is_reached_or_not(goal: Goal, reached: bool) -> None:
    assert goal.is_reached is reached


def test_tables_goals_and_remarks_are_markdown() -> None:
    report = Report(
        "Retrieval", [Table("By set", ["", "ours"], [["all", 0.5]])], [Goal("all", 0.5, at_least=0.6)], ["So be it."]
    )
    assert markdown(report) == (
        "## Retrieval\n\nBy set:\n\n|     | ours  |\n| --- | ----- |\n| all | 0.500 |\n\n"
        "| goal | value | wanted         | reached |\n| ---- | ----- | -------------- | ------- |\n"
        "| all  | 0.500 | at least 0.600 | MISSED  |\n\nSo be it.\n"
    )
