"""Strong language, its disguises, and words that merely contain it."""

import pytest

from services.orchestrator.engine.policies.profanity import Level, check, is_hate


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


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("What a crappy day", ("mild",)),
        ("This shit again", ("strong",)),
        ("Typical muzzie behaviour", ("severe",)),
        ("I h a t e women", ("hate",)),
        ("I want to klil all immigrants", ("hate",)),
        ("This fukced up", ("strong",)),
    ],
)
def test_it_is_graded(text: str, levels: tuple[str, ...]) -> None:
    assert check(text).details == levels


def test_what_is_below_the_level_stays() -> None:
    assert check("What a crappy day", Level.STRONG).text == "What a crappy day"


@pytest.mark.parametrize(
    "text",
    [
        'He wrote "I hate women" and was banned',
        "I do not hate immigrants",
        "I hate cauliflower",
        "Three women were elected today",
        "I had this queer feeling",
        "I took my bitch to the vet",
    ],
)
def test_quoted_denied_and_innocent_words_are_no_hate(text: str) -> None:
    assert not is_hate(text)
    assert check(text).details == ()
