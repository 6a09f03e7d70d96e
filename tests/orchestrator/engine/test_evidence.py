"""Sentences that are almost true, each held against the chunk that it was made from."""

import pytest

from services.orchestrator.engine.evidence import Objection, Statement, Support, evidence
from tests.factories.hits import make_hit

ROOMS = make_hit(
    "Single rooms cost 80 euros, double rooms cost 120 euros a night. Breakfast is served from 7 to 10 am in the "
    "restaurant. You can cancel free of charge up to 24 hours before arrival. Smoking is not allowed in the rooms. "
    "The hotel was founded by Anna Berg in Vienna. Carl Lund bought it later. Guests must show a passport. "
    "Your deposit is usually returned within five business days. Some rooms have a balcony.",
    title="Rooms",
)
PETS = make_hit("Are dogs allowed in the restaurant?\nNo. They may wait in the lobby.", kind="faq")


def support(claim: str, hit: object = ROOMS, language: str = "en") -> Support:
    return evidence(hit, language).support(Statement.of(claim, language))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "claim",
    [
        "Double rooms cost 120 euros a night.",
        "A double room costs €120.00 a night.",
        "Breakfast is served from 7:00 to 10:00 a.m.",
        "You can cancel free of charge up to 24 hours before arrival.",
        "Smoking in the rooms is forbidden.",
        "Anna Berg founded the hotel in Vienna.",
        "You must show a passport.",
        "Your deposit is usually returned within 5 business days.",
        "The deposit is typically returned in five business days.",
    ],
)
def test_what_the_chunk_says_in_whatever_order_holds(claim: str) -> None:
    found = support(claim)
    assert found.objection is None
    assert found.share >= 0.6


@pytest.mark.parametrize(
    ("claim", "objection"),
    [
        ("Double rooms cost 150 euros a night.", Objection.NUMBER),
        ("Single rooms cost 120 euros a night.", Objection.NUMBER),
        ("Double rooms cost 120 dollars a night.", Objection.NUMBER),
        ("Breakfast is served from 7 to 10 pm in the restaurant.", Objection.NUMBER),
        ("Your deposit is usually returned within five business weeks.", Objection.NUMBER),
        ("Carla Berg founded the hotel in Vienna.", Objection.NAME),
        ("The hotel was founded by Anna Lund in Vienna.", Objection.NAME),
        ("The hotel was founded by Anna Berg in Zurich.", Objection.NAME),
        ("Smoking is allowed in the rooms.", Objection.NEGATION),
        ("You cannot cancel free of charge up to 24 hours before arrival.", Objection.NEGATION),
        ("You can cancel free of charge up to 24 hours after arrival.", Objection.NEGATION),
        ("Guests can show a passport.", Objection.FIRMNESS),
        ("You must cancel up to 24 hours before arrival.", Objection.FIRMNESS),
        ("Your deposit is returned within five business days.", Objection.FIRMNESS),
        ("All rooms have a balcony.", Objection.FIRMNESS),
        ("Lunch is served from 7 to 10 am in the restaurant.", Objection.SWAPPED),
        ("Breakfast is served from 7 to 10 am, with fresh pancakes and juice.", Objection.UNSUPPORTED),
        ("You can cancel at cancel@berg.example free of charge up to 24 hours before arrival.", Objection.NAME),
    ],
)
def test_one_thing_changed_is_noticed(claim: str, objection: Objection) -> None:
    assert support(claim).objection is objection


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        ("Dogs are not allowed in the restaurant.", True),
        ("Dogs are allowed in the restaurant.", False),
        ("They may wait in the lobby.", True),
    ],
)
def test_a_question_that_is_denied_says_the_opposite(claim: str, holds: bool) -> None:
    assert (support(claim, PETS).objection is None) is holds


@pytest.mark.parametrize(
    ("text", "claim", "language", "holds"),
    [
        ("Los perros no pueden entrar en el comedor.", "Los perros no pueden entrar en el comedor.", "es", True),
        ("Los perros no pueden entrar en el comedor.", "Los perros pueden entrar en el comedor.", "es", False),
        ("Vous ne pouvez pas annuler la commande.", "Vous pouvez annuler la commande.", "fr", False),
        ("Das Frühstück kostet zwölf Euro.", "Das Frühstück kostet 12 Euro.", "de", True),
        ("Das Frühstück kostet zwölf Euro.", "Das Frühstück kostet 13 Euro.", "de", False),
        ("退款需要5天。您不能取消订单。", "您能取消订单。", "zh", False),
    ],
)
def test_other_languages_are_held_to_the_same(text: str, claim: str, language: str, holds: bool) -> None:
    assert (support(claim, make_hit(text), language).objection is None) is holds


def test_words_that_the_chunk_has_not_are_named() -> None:
    assert support("Breakfast is served daily from 7 to 10 am in the restaurant.").novel == ("daili",)


def test_the_run_is_the_shortest_that_says_it() -> None:
    found = support("Smoking is not allowed in the rooms.")
    assert ROOMS.text[found.start : found.end] == "Smoking is not allowed in the rooms."


def test_a_chunk_without_a_word_of_the_claim_supports_nothing() -> None:
    assert support("Bananas ripen quickly.").objection is Objection.UNSUPPORTED
