"""Numbers with their units, however they are written."""

import pytest

from services.orchestrator.engine.quantities import Quantity, quantities, without_numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("five days", {Quantity("5", "day")}),
        ("within 5 business days", {Quantity("5", "day")}),
        ("$1,000.00", {Quantity("1000", "dollar")}),
        ("1.000 €", {Quantity("1000", "euro")}),
        ("3,5 km", {Quantity("3.5", "kilometre")}),
        ("9:00 a.m. to 5pm", {Quantity("9", "am"), Quantity("5", "pm")}),
        ("20 %", {Quantity("20", "percent")}),
        ("dos semanas", {Quantity("2", "week")}),
        ("1. Open it.\n2. Wait 3 minutes.", {Quantity("3", "minute")}),
        ("room 12", {Quantity("12")}),
        ("twice a day", {Quantity("2", "day")}),
        ("ask once more", set()),
        ("no number", set()),
    ],
)
def test_value_and_unit(text: str, found: set[Quantity]) -> None:
    assert quantities(text) == found


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (Quantity("5", "day"), Quantity("5", "day"), True),
        (Quantity("5", "day"), Quantity("5"), True),
        (Quantity("5", "day"), Quantity("5", "week"), False),
        (Quantity("5", "day"), Quantity("6", "day"), False),
    ],
)
def test_agreement(one: Quantity, other: Quantity, agree: bool) -> None:
    assert one.agrees(other) is other.agrees(one) is agree


def test_numbers_are_taken_out_of_words() -> None:
    assert without_numbers("Wait five or 10 days").split() == ["Wait", "or", "days"]
