"""Names and addresses. All persons are invented."""

import time

import pytest

from services.orchestrator.engine.policies.people import find


def _found(text: str, kind: str) -> list[str]:
    return list(dict.fromkeys(text[start:end] for start, end, own in find(text) if own == kind))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My name is Ruth R Montez.", "Ruth R Montez"),
        ("my name is lena andersson and i am late", "lena andersson"),
        ("Me llamo Elena García", "Elena García"),
        ("Ich heiße Jörg Müller", "Jörg Müller"),
        ("Hi Victor, about my order", "Victor"),
        ("I spoke to Mrs. Olsen", "Olsen"),
        ("Bot: What's the name on the account? User: Ágnes Földesy", "Ágnes Földesy"),
        ("My brother Mario has the key", "Mario"),
        ("It was signed Tamara T. Stanković", "Tamara T. Stanković"),
        ('Anna: "Who are you?"', "Anna"),
        ("It is booked under Karl Londagin.", "Karl Londagin"),
        ("cancel my booking under hayward rhyne please", "hayward rhyne"),
        ("I'm Jacqui Sundin", "Jacqui Sundin"),
        ("A table for 4 for Julian Galles, please", "Julian Galles"),
        ("Salvatore Whitty is my name.", "Salvatore Whitty"),
    ],
)
def test_names_are_told_by_the_words_around_them(text: str, name: str) -> None:
    assert _found(text, "person") == [name]


@pytest.mark.parametrize(
    "text",
    [
        "I moved to 11 Souterhead Road, Aberdeen AB12 3QH",
        "Please send it to 609 P.O. Box 186 Apt. 561, Graz, Austria",
        "Meet me at the corner of Kuusiku 7 and Alexander Flat",
        "My address is Hauptstraße 12, 10115 Berlin",
        "Unit 5022 Box 1225\nDPO AE 44085",
    ],
)
def test_addresses_are_runs_that_something_vouches_for(text: str) -> None:
    assert len(_found(text, "address")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "What is the square root of 104?",
        "Who has priority at a 4 way stop",
        "Can I book for Tue, 28 Aug 2018?",
        "How do I reset my password?",
        "Capitalized words like Wisdom and Discipline are often mistaken for names.",
        "Hello There, I have a question",
        "My card was declined at 10:00 and at 16:00",
        "Order 4711 from 2024-05-01 cost 19.99",
        "is there a way to roll over my 401k",
    ],
)
def test_other_words_and_numbers_stay(text: str) -> None:
    assert list(find(text)) == []


@pytest.mark.parametrize(
    "text", ["Aa " * 1300, "1 " * 2000, "my name is " * 360, "12 Street " * 400, "the corner of " * 280]
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    list(find(text))
    assert time.process_time() - started < 0.5
