"""Strong language, its disguises, and words that merely contain it."""

import pytest

from services.orchestrator.engine.policies.profanity import check


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("This is shit.", "This is s***."),
        ("f*ck that", "f*** that"),
        ("You @sshole", "You @******"),
        ("SH1T happens", "S*** happens"),
    ],
)
def test_it_is_masked(text: str, fixed: str) -> None:
    assert check(text).text == fixed


@pytest.mark.parametrize(
    "text", ["classes in Scunthorpe", "my assistant", "a cocktail", "Picasso", "an assessment", "push it"]
)
def test_words_that_contain_it_stay(text: str) -> None:
    assert check(text).text == text
