"""What needs no knowledge to be understood."""

import pytest

from services.orchestrator.engine.intents import small_talk, wants_person


@pytest.mark.parametrize(
    "text",
    [
        "I want to talk to a human",
        "Can I speak with a real person please?",
        "connect me to an agent",
        "Agent!",
        "i need to speak to customer service regarding my flight",
        "Quiero hablar con una persona",
        "Je voudrais parler à un conseiller",
        "Ich möchte mit einem Menschen sprechen",
        "Quero falar com um atendente",
        "Vorrei parlare con un operatore",
        "Ik wil met een medewerker praten",
        "转人工",
    ],
)
def test_the_wish_for_a_person(text: str) -> None:
    assert wants_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "Can one person have two accounts?",
        "Someone else used my card",
        "What does a support agent cost?",
        "are you a real person or an ai",
        "How do I contact the seller's bank?",
        "¿Cuántas personas caben en la habitación?",
        "Wie viele Personen passen in das Zimmer?",
        "How do I add a representative to my account?",
    ],
)
def test_no_such_wish(text: str) -> None:
    assert not wants_person(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi there!", ("greeting", "en")),
        ("¡Hola!", ("greeting", "es")),
        ("Guten Tag", ("greeting", "de")),
        ("你好", ("greeting", "zh")),
        ("Thanks a lot 🙂", ("thanks", "en")),
        ("Merci beaucoup", ("thanks", "fr")),
        ("Tschüss", ("goodbye", "de")),
        ("Are you a robot?", ("about_bot", None)),
        ("Hi, where is my order?", None),
        ("Thanks, but how do I return it?", None),
        ("Are you able to repair my computer?", None),
        ("", None),
    ],
)
def test_small_talk(text: str, expected: tuple[str, str | None] | None) -> None:
    assert small_talk(text) == expected
