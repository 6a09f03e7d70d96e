"""What a policy is: a plain function from a text to a `Finding`. No I/O, no model, cheap enough for every message."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Pass as it is, fix (the finding has the text to use instead), withhold, or hand over to a person."""

    PASS = "pass"  # noqa: S105 - no password
    FIX = "fix"
    WITHHOLD = "withhold"
    HANDOVER = "handover"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one policy says of one text. `text` is what to use from here on; `details` name kinds, never values."""

    check: str
    verdict: Verdict
    text: str
    details: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """For the trace: without the text, which may be personal."""
        return {"check": self.check, "verdict": self.verdict.value, "details": list(self.details)}
