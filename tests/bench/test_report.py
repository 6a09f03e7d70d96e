"""Verdicts on figures."""

import json
from pathlib import Path

import pytest

from bench.report import Figure, Section, markdown, save, show


@pytest.mark.parametrize(
    ("values", "larger", "verdict"),
    [
        ([4, 9, 100], False, "floor"),
        ([1, 2, 3], False, "aim"),
        ([11, 12, 13], False, "MISSED"),
        ([11, 12, 13], True, "aim"),
        ([4, 1, 2], True, "MISSED"),
    ],
)
def test_goals_hold_for_the_median(values: list[float], larger: bool, verdict: str) -> None:
    floor, aim = (3, 10) if larger else (10, 3)
    assert Figure("f", values, floor=floor, aim=aim, larger_is_better=larger).verdict == verdict


def test_a_figure_without_goals_is_not_judged() -> None:
    assert Figure("f", [1.0]).verdict == ""


def test_a_figure_that_could_not_be_measured_misses_its_goal() -> None:
    assert Figure("f", [float("nan")], floor=1).verdict == "MISSED"


def test_a_section_is_shown_with_its_remarks(capsys: pytest.CaptureFixture[str]) -> None:
    section = Section("intake: of webhooks", remarks=["seen"])
    section.add("ratio", [0.2, 0.4, 0.3], "×", floor=0.2, aim=0.33, larger_is_better=True)
    show(section)
    shown = capsys.readouterr().out
    assert "0.30" in shown
    assert "0.20 … 0.40" in shown
    assert "seen" in shown


def test_a_section_is_kept_as_json(tmp_path: Path) -> None:
    section = Section("intake: of webhooks")
    section.add("ratio", [1.0])
    kept = json.loads(save(section, tmp_path / "new").read_text())
    assert kept["section"] == "intake: of webhooks"
    assert kept["figures"][0]["median"] == 1.0
    assert kept["machine"]["cores"] > 0


def test_sections_become_one_markdown_table() -> None:
    section = Section("memory: of services")
    section.add("gateway", [120.0, 121.0, 130.0], "MB", floor=150, aim=80)
    assert markdown([section]).splitlines()[2:] == [
        "| **memory: of services** | | | | | |",
        "| gateway | 121 MB | 120 … 130 | 150 | 80.0 | floor |",
    ]
