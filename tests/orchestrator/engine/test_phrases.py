"""The bot's own words in the customer's language."""

from dataclasses import replace

import pytest

from packages.core.domain.tenants import BrandProfile
from services.orchestrator.engine.phrases import framed, handover, language_of, signed, small_talk, unknown

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


ANSWER = "Refunds arrive within five days of your return. [1]"


class TestFramed:
    @pytest.mark.parametrize(
        ("tone", "opening"),
        [
            ("friendly, clear and brief", ""),
            ("formal and polite", "Thank you for your message.\n\n"),
            ("warm and playful", "Happy to help!\n\n"),
            ("dry", ""),
        ],
    )
    def test_the_tone_opens_a_first_answer(self, tone: str, opening: str) -> None:
        brand = replace(BRAND, tone=tone)
        assert framed(ANSWER, brand, "en", first=True) == opening + ANSWER
        assert framed(ANSWER, brand, "en", first=False) == ANSWER

    def test_documents_in_another_language_are_introduced_in_the_customers(self) -> None:
        assert framed(ANSWER, BRAND, "es", first=False) == f"Nuestra documentación dice:\n\n{ANSWER}"

    def test_the_sign_off_comes_last_in_its_own_language_only(self) -> None:
        brand = replace(BRAND, sign_off="All the best from your Acme team")
        assert signed(ANSWER, brand, "en") == f"{ANSWER}\n\n{brand.sign_off}"
        assert signed(ANSWER, brand, "es") == ANSWER
