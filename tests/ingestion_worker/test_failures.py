import pytest

from packages.core.errors import Unavailable
from packages.rag.documents import UnreadableDocument
from services.ingestion_worker.failures import DIED, MissingFile, classify, pause
from services.ingestion_worker.fetch import FetchFailed
from services.ingestion_worker.settings import IngestionSettings


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (UnreadableDocument("Encrypted. Upload it without a password.", code="encrypted"), "encrypted", False),
        (FetchFailed("http_404", "Gone.", retryable=False), "http_404", False),
        (FetchFailed("http_503", "Busy.", retryable=True), "http_503", True),
        (MissingFile(), "missing_file", False),
        (TimeoutError(), "timeout", True),
        (Unavailable("The object store cannot be reached."), "unavailable", True),
        (ConnectionRefusedError("10.0.0.7"), "internal", True),
        (KeyError("bug"), "internal", True),
    ],
)
def test_says_what_may_pass(error: Exception, code: str, retryable: bool) -> None:
    failure = classify(error)
    assert (failure.code, failure.retryable) == (code, retryable)


def test_only_the_unexpected_is_logged_as_a_crash() -> None:
    assert [classify(error).expected for error in (Unavailable("away"), KeyError("bug"))] == [True, False]


def test_hides_what_an_unexpected_error_says() -> None:
    assert "10.0.0.7" not in str(classify(ConnectionRefusedError("10.0.0.7")).error())


def test_poison_names_its_cause_and_the_way_out() -> None:
    error = DIED.poisoned(5)
    assert (error["code"], error["cause"], error["attempts"]) == ("poison", "worker_died", 5)
    assert "retry" in error["message"]


@pytest.mark.parametrize(("attempt", "longest"), [(1, 2.0), (2, 4.0), (4, 16.0), (7, 100.0), (500, 100.0)])
def test_pauses_double_up_to_a_limit(attempt: int, longest: float) -> None:
    settings = IngestionSettings(retry_seconds=2, retry_max_seconds=100)
    pauses = [pause(attempt, settings) for _ in range(200)]
    assert longest / 2 <= min(pauses)
    assert max(pauses) <= longest


def test_pauses_are_spread() -> None:
    assert len({pause(3, IngestionSettings()) for _ in range(20)}) > 1
