"""Recall, precision and false alarms."""

from evaluation.profanity import evaluate


async def test_the_goals_are_reached() -> None:
    report = await evaluate()
    assert {goal.name for goal in report.goals} >= {"recall", "precision"}
    assert all(goal.is_reached for goal in report.goals)
