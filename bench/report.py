"""Figures, what they must reach, and how they are shown and kept."""

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.processes import machine


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure, a value per round. Goals hold for the median.

    Args:
        floor: what must be reached for a release; None for figures that only inform.
        aim: what should be reached.
        larger_is_better: a ratio to a reference; else a cost.
    """

    name: str
    values: Sequence[float]
    unit: str = ""
    floor: float | None = None
    aim: float | None = None
    larger_is_better: bool = False

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.values) if self.values else float("nan")

    @property
    def verdict(self) -> str:
        """`aim`, `floor` or `MISSED`; empty without goals."""
        if self.floor is None:
            return ""
        if self.aim is not None and self._reaches(self.aim):
            return "aim"
        return "floor" if self._reaches(self.floor) else "MISSED"

    def _reaches(self, goal: float) -> bool:
        return self.median >= goal if self.larger_is_better else self.median <= goal


@dataclass(slots=True)
class Section:
    """The figures of one measurement, and remarks on how they came about."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, name: str, values: Sequence[float], unit: str = "", **goals: object) -> None:
        """Add a figure; see `Figure`."""
        self.figures.append(Figure(name, list(values), unit, **goals))  # type: ignore[arg-type]


def show(section: Section) -> None:
    """Print a section as a table."""
    line = "{:<58} {:>9} {:>19} {:<8} {:>7} {:>7}  {}\n".format
    out = [f"\n{section.name}\n", line("", "median", "min … max", "", "floor", "aim", "")]
    for figure in section.figures:
        values = figure.values or [float("nan")]
        spread = f"{_number(min(values))} … {_number(max(values))}"
        goals = ["" if goal is None else _number(goal) for goal in (figure.floor, figure.aim)]
        out.append(line(figure.name, _number(figure.median), spread, figure.unit, *goals, figure.verdict))
    sys.stdout.write("".join([*out, *(f"  {remark}\n" for remark in section.remarks)]))
    sys.stdout.flush()


def markdown(sections: Sequence[Section]) -> str:
    """Sections as one Markdown table, for docs/PERFORMANCE.md."""
    rows = ["| | median | min … max | floor | aim | reached |", "| --- | --- | --- | --- | --- | --- |"]
    for section in sections:
        rows.append(f"| **{section.name}** | | | | | |")
        for figure in section.figures:
            goals = ["" if goal is None else _number(goal) for goal in (figure.floor, figure.aim)]
            spread = f"{_number(min(figure.values))} … {_number(max(figure.values))}"
            cells = [figure.name, f"{_number(figure.median)} {figure.unit}".strip(), spread, *goals, figure.verdict]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def save(section: Section, folder: Path) -> Path:
    """Keep a section as JSON, with the time and the machine."""
    folder.mkdir(exist_ok=True)
    at = datetime.now(UTC)
    figures = [asdict(figure) | {"median": figure.median, "verdict": figure.verdict} for figure in section.figures]
    kept = {"section": section.name, "at": at.isoformat(timespec="seconds"), "machine": machine()}
    path = folder / f"{section.name.split(':')[0]}-{at:%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps(kept | {"figures": figures, "remarks": section.remarks}, indent=1) + "\n")
    return path


def _number(value: float) -> str:
    if value != value:  # NaN
        return "none"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
