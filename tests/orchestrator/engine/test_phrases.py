"""The bot's own words in the customer's language."""

import pytest

from packages.core.domain.tenants import BrandProfile
from services.orchestrator.engine.phrases import handover, language_of, small_talk, unknown

BRAND = BrandProfile(id="b", tenant_id="t", name="Acme", locale="en-US")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I get my money back?", "en"),
        ("¿Cómo puedo cambiar mi contraseña?", "es"),
        ("Comment puis-je changer mon mot de passe ?", "fr"),
        ("Wie kann ich mein Passwort ändern?", "de"),
        ("Como posso mudar a minha senha?", "pt"),
        ("如何更改密码？", "zh"),
        ("パスワードを変更するには", "ja"),
        ("4711", "en"),
    ],
)
def test_the_language_of_a_message(text: str, language: str) -> None:
    assert language_of(text, BRAND) == language


def test_what_was_written_earlier_helps() -> None:
    assert language_of("4711", BRAND, "¿Dónde está mi pedido?") == "es"


@pytest.mark.parametrize(
    ("language", "begins"), [("en", "I'm sorry, I don't know"), ("de", "Das weiß ich"), ("xx", "I'm")]
)
def test_an_honest_word(language: str, begins: str) -> None:
    assert unknown(BRAND, language).startswith(begins)


def test_the_persona_speaks_for_itself_in_its_language_only() -> None:
    brand = BrandProfile(
        id="b",
        tenant_id="t",
        name="Acme",
        locale="en",
        fallback_message="I am not sure about that, shall I ask someone?",
    )
    assert unknown(brand, "en") == brand.fallback_message
    assert unknown(brand, "es").startswith("Lo siento")


def test_names_are_filled_in() -> None:
    assert "Acme" in small_talk("about_bot", BRAND, "en")
    assert handover(BRAND, "fr").startswith("Bien sûr")
