"""Personal data found and left alone."""

import pytest

from services.orchestrator.engine.policies import Verdict
from services.orchestrator.engine.policies.personal_data import EVERYTHING, Vault, redact


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("Mail bob.smith+x@mail.example.com now", "Mail [email] now"),
        ("Card 4111 1111 1111 1111, thanks", "Card [card], thanks"),
        ("IBAN DE89 3704 0044 0532 0130 00.", "IBAN [iban]."),
        ("iban gb29nwbk60161331926819", "iban [iban]"),
        ("Call +1 415 555 2671 today", "Call [phone] today"),
        ("Ring (212) 555-0123", "Ring [phone]"),
        ("my phone is 723 813 266", "my phone is [phone]"),
        ("from 192.168.17.4 it fails", "from [ip] it fails"),
        ("SSN 536-22-8726", "SSN [ssn]"),
        ("a@b.example and c@d.example", "[email] and [email]"),
    ],
)
def test_it_is_replaced_by_its_kind(text: str, fixed: str) -> None:
    finding = redact(text)
    assert finding.text == fixed
    assert finding.verdict is Verdict.FIX


@pytest.mark.parametrize(
    "text",
    [
        "My order 4711 from 2024-05-01 cost 19.99",
        "Card 4111 1111 1111 1112",
        "Version 1.2.3.4567",
        "It opens at 9:30 and closes at 18:00",
        "Order number 100200300",
        "Follow @brand",
        "",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    finding = redact(text)
    assert (finding.text, finding.verdict, finding.details) == (text, Verdict.PASS, ())


def test_local_numbers_depend_on_the_country() -> None:
    assert redact("Tel 030 901820", "DE").details == ("phone",)


def test_the_trace_names_kinds_and_no_values() -> None:
    assert redact("a@b.example").as_dict() == {"check": "personal_data", "verdict": "fix", "details": ["email"]}


class TestVault:
    def test_the_same_value_has_the_same_mark_everywhere(self) -> None:
        vault = Vault()
        first = redact("a@b.example and c@d.example", vault=vault).text
        second = redact("c@d.example again", vault=vault).text
        assert (first, second) == ("[email] and [email_2]", "[email_2] again")

    def test_values_come_back(self) -> None:
        vault = Vault()
        text = "I am Hi Victor, call +1 415 555 2671 or write to a@b.example"
        assert vault.restore(redact(text, kinds=EVERYTHING, vault=vault).text) == text

    def test_marks_that_nobody_gave_out_stay(self) -> None:
        assert Vault().restore("See [1] and [email].") == "See [1] and [email]."


def test_kinds_choose_what_goes() -> None:
    text = "My name is Ruth Montez, a@b.example"
    assert redact(text, kinds={"person"}).text == "My name is [person], a@b.example"
