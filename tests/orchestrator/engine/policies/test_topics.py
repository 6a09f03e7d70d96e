"""Words that a brand does not want talked about."""

from services.orchestrator.engine.policies import Verdict
from services.orchestrator.engine.policies.topics import check


def test_sentences_with_a_listed_name_go() -> None:
    finding = check("competitors", "We ship daily. Acme Corp is slower.", ("acme corp",))
    assert (finding.verdict, finding.text, finding.details) == (Verdict.FIX, "We ship daily.", ("acme corp",))


def test_whole_words_alone_count() -> None:
    assert check("competitors", "Acmeology is a science.", ("Acme",)).verdict is Verdict.PASS


def test_an_empty_list_finds_nothing() -> None:
    assert check("off_topic", "Anything", ()).verdict is Verdict.PASS
    assert check("off_topic", "Anything", (" ",)).verdict is Verdict.PASS
