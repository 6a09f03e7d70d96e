"""National ids by their checksums. All numbers are published examples or made up."""

import pytest

from services.orchestrator.engine.policies.national_ids import find


@pytest.mark.parametrize(
    "number",
    [
        "12345678Z",
        "X1234567L",
        "RSSMRA85T10A562S",
        "1 85 05 78 006 084 91",
        "529.982.247-25",
        "2341 2341 2346",
        "11010519491231002X",
        "131052-308T",
        "12.345.678-5",
        "AB 12 34 56 C",
        "ABCPE1234F",
        "811228-9874",
        "GODE561231HDFRRN09",
    ],
)
def test_shaped_numbers_are_found_anywhere(number: str) -> None:
    text = f"That is {number}, I think."
    assert [text[start:end] for start, end, _ in find(text)] == [number]


@pytest.mark.parametrize(
    "text",
    [
        "my bsn is 111222333",
        "PESEL: 44051401359",
        "T.C. kimlik no 10000000146",
        "Steuer-ID 86095742719",
        "SIN 046 454 286",
        "my NHS number is 943 476 5919",
        "CPF 52998224725",
    ],
)
def test_bare_digits_need_a_word_that_says_what_they_are(text: str) -> None:
    assert [kind for _, _, kind in find(text)] == ["national_id"]


@pytest.mark.parametrize(
    "text",
    [
        "12345678A",
        "529.982.247-26",
        "2341 2341 2347",
        "131052-308U",
        "BSN 111222334",
        "PESEL 44051401358",
        "811228-9875",
    ],
)
def test_a_wrong_checksum_is_no_id(text: str) -> None:
    assert list(find(text)) == []


@pytest.mark.parametrize("text", ["order 44051401359", "Order 1234567890", "ref 111222333", "4111 1111 1111 1111"])
def test_other_numbers_stay(text: str) -> None:
    assert list(find(text)) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("My driver's license number is F162823540116", "F162823540116"),
        ("passport no. C01X00T47", "C01X00T47"),
        ("Führerschein B072RRE2I55", "B072RRE2I55"),
    ],
)
def test_licences_and_passports_follow_their_name(text: str, number: str) -> None:
    assert [(text[start:end], kind) for start, end, kind in find(text)] == [(number, "licence")]


def test_a_passport_without_a_number_is_none() -> None:
    assert list(find("I need my passport to be ready by then")) == []
