"""Links in replies."""

import pytest

from services.orchestrator.engine.policies import Verdict
from services.orchestrator.engine.policies.links import check


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("See https://evil.test/pay now.", "See now."),
        ("See [our page](https://evil.test/pay).", "See our page."),
        ("![x](http://evil.test/p.png?d=1) Hello", "x Hello"),
        ("Go to evil-shop.com/login please", "Go to please"),
        ("[Click](javascript:alert(1))", "Click)"),
        ("https://brand.example@evil.test/a", ""),
        ("https://brand.example.evil.test/", ""),
    ],
)
def test_what_leads_elsewhere_goes(text: str, fixed: str) -> None:
    finding = check(text, (), ("brand.example",))
    assert finding.verdict is Verdict.FIX
    assert finding.text == fixed


@pytest.mark.parametrize(
    "text",
    [
        "See https://brand.example/help.",
        "See [help](https://www.brand.example/help) and https://support.brand.example/a?b=c",
        "It is on partner.com/offer.",
        "Write to help@brand.example",
        "It opens at 9:30, e.g. on Monday. Note: closed on Sunday.",
        "Version 1.2.3 of the app",
    ],
)
def test_the_brands_domains_and_those_of_sources_stay(text: str) -> None:
    finding = check(text, ("Our offers are on https://partner.com/offer.",), ("brand.example",))
    assert (finding.verdict, finding.text) == (Verdict.PASS, text)


def test_the_trace_names_hosts() -> None:
    assert check("https://evil.test/secret?token=1", ()).details == ("evil.test",)
