"""Pieces of text on a page, known by their boxes, in the order in which they are read.

The page is cut where white space runs through it (the recursive XY cut of Nagy and Seth, 1984): first into columns
where a gutter is wide and high enough, else into bands, and what cannot be cut is read line by line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_GUTTER = 1.2
_BAND = 0.9
_LEAST_COLUMN_LINES = 3


@dataclass(frozen=True, slots=True)
class Box:
    """A piece of text; y grows downwards. The unit does not matter."""

    left: float
    top: float
    right: float
    bottom: float
    text: str

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top


def lines_in_order(boxes: Sequence[Box]) -> list[str]:
    """Lines of text; an empty one between what white space sets apart."""
    kept = [box for box in boxes if box.text.strip()]
    if not kept:
        return []
    unit = median(box.height for box in kept)
    lines: list[str] = []
    for region in _cut(kept, unit):
        lines += _lines(region, unit)
        lines.append("")
    return lines[:-1]


def _cut(boxes: list[Box], unit: float) -> list[list[Box]]:
    columns = _split(boxes, unit * _GUTTER, across=True)
    if len(columns) > 1 and all(_row_count(column) >= _LEAST_COLUMN_LINES for column in columns):
        return [region for column in columns for region in _cut(column, unit)]
    bands = _split(boxes, unit * _BAND, across=False)
    if len(bands) > 1:
        return [region for band in _joined(bands, unit) for region in (_cut(band, unit) if band != boxes else [band])]
    return [boxes]


def _joined(bands: list[list[Box]], unit: float) -> list[list[Box]]:
    """Bands that only together show a column's gutter, as its paragraphs end at the same height, are one."""
    joined: list[list[Box]] = []
    for band in bands:
        if joined:
            both = [*joined[-1], *band]
            if _has_columns(joined[-1], unit) and _has_columns(both, unit) and _has_columns(band, unit):
                joined[-1] = both
                continue
        joined.append(band)
    return joined


def _has_columns(boxes: list[Box], unit: float) -> bool:
    columns = _split(boxes, unit * _GUTTER, across=True)
    return len(columns) > 1 and all(_row_count(column) >= _LEAST_COLUMN_LINES for column in columns)


def _split(boxes: list[Box], gap: float, *, across: bool) -> list[list[Box]]:
    """Groups with at least `gap` of white between them, from left to right or from top to bottom."""

    def start(box: Box) -> float:
        return box.left if across else box.top

    groups: list[list[Box]] = []
    end = 0.0
    for box in sorted(boxes, key=start):
        if groups and start(box) - end < gap:
            groups[-1].append(box)
            end = max(end, box.right if across else box.bottom)
        else:
            groups.append([box])
            end = box.right if across else box.bottom
    return groups


def _row_count(boxes: list[Box]) -> int:
    return len(_rows(boxes))


def _lines(boxes: list[Box], unit: float) -> list[str]:
    lines: list[str] = []
    bottom: float | None = None
    for row in _rows(boxes):
        top = min(box.top for box in row)
        if bottom is not None and top - bottom > _BAND * unit:
            lines.append("")
        lines.append(" ".join(box.text.strip() for box in sorted(row, key=lambda box: box.left)))
        bottom = max(box.bottom for box in row)
    return lines


def _rows(boxes: list[Box]) -> list[list[Box]]:
    """Boxes whose middles are at about the same height."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: (box.top + box.bottom) / 2):
        middle = (box.top + box.bottom) / 2
        if rows and rows[-1][0].top <= middle <= rows[-1][0].bottom:
            rows[-1].append(box)
        else:
            rows.append([box])
    return rows
