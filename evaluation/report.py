"""What a suite found: tables, and goals that were reached or missed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

Cell = str | float | int


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that must reach `at_least`, or stay within `at_most`."""

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_reached(self) -> bool:
        """Whether it does."""
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below a heading; the first cell of each row names it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(slots=True)
class Report:
    """One suite's tables, goals and remarks."""

    name: str
    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def markdown(report: Report) -> str:
    """The report as docs/QUALITY.md has it, and as it is printed."""
    parts = [f"## {report.name}"]
    parts += [f"{table.title}:\n\n{_table(table)}" for table in report.tables]
    if report.goals:
        rows = [[goal.name, goal.value, _bound(goal), "yes" if goal.is_reached else "MISSED"] for goal in report.goals]
        parts.append(_table(Table("", ["goal", "value", "wanted", "reached"], rows)))
    return "\n\n".join([*parts, *report.remarks]) + "\n"


def _table(table: Table) -> str:
    cells = [[_shown(cell) for cell in row] for row in [table.columns, *table.rows]]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(table.columns))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)


def _bound(goal: Goal) -> str:
    bounds = (("at least", goal.at_least), ("at most", goal.at_most))
    return ", ".join(f"{word} {_shown(value)}" for word, value in bounds if value is not None)


def _shown(cell: Cell) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
