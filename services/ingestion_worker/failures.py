"""What a failed attempt means: hopeless, or worth another try; and when."""

import random
from dataclasses import dataclass
from typing import Any

from packages.core.errors import AppError
from packages.rag.documents import UnreadableDocument
from services.ingestion_worker.fetch import FetchFailed
from services.ingestion_worker.settings import IngestionSettings


class MissingFile(Exception):
    """The source's bytes are not in the object store."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, in words for the tenant's admin."""

    code: str
    message: str
    retryable: bool
    expected: bool = True

    def error(self) -> dict[str, Any]:
        """As it stands on the source."""
        return {"code": self.code, "message": self.message}

    def poisoned(self, attempts: int) -> dict[str, Any]:
        """As it stands on a source that was tried for the last time."""
        return {
            "code": "poison",
            "message": f"Given up after {attempts} attempts; retry it once the cause is gone. {self.message}",
            "cause": self.code,
            "attempts": attempts,
        }


DIED = Failure("worker_died", "The worker stopped while it read this source, perhaps for lack of memory.", True)
"""Of a source whose every attempt ended without a word."""


def classify(error: Exception) -> Failure:
    """What to tell the admin of an error, and whether another try may help. Unknown errors may pass."""
    if isinstance(error, UnreadableDocument):
        return Failure(error.code, error.message, False)
    if isinstance(error, FetchFailed):
        return Failure(error.code, error.message, error.retryable)
    if isinstance(error, MissingFile):
        return Failure("missing_file", "The uploaded file is no longer stored. Upload it again.", False)
    if isinstance(error, TimeoutError):
        return Failure("timeout", "Reading this source took too long.", True)
    if isinstance(error, AppError):
        return Failure(error.code, error.message, True)
    return Failure("internal", "Something went wrong on our side.", True, expected=False)


def pause(attempt: int, settings: IngestionSettings) -> float:
    """Seconds before the next attempt: doubling, capped, with half of it left to chance so that sources spread out."""
    longest = min(settings.retry_seconds * 2.0 ** (attempt - 1), settings.retry_max_seconds)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
