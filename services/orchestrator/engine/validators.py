"""The policies as guardrails-ai validators, so that validators of that library's hub can stand beside them.

Importing this module imports guardrails (seconds, 135 MB), so only `guardrails.load_reply_guard` does, on a thread of
its own. The policies hold without it.
"""

from collections.abc import Sequence
from typing import Any

from guardrails import Guard
from guardrails import settings as guardrails_settings
from guardrails.classes.rc import RC
from guardrails.validators import FailResult, PassResult, ValidationResult, Validator, register_validator

from services.orchestrator.engine.guardrails import reply_personal_data, reply_profanity
from services.orchestrator.engine.policies import Finding, Verdict


def _without_telemetry() -> None:
    """The library reports each validation to its makers unless its settings file says otherwise; ours always does."""
    RC.load = classmethod(lambda cls, logger=None: cls.from_dict({"enable_metrics": False}))
    guardrails_settings.rc = RC.load()


def _result(finding: Finding) -> ValidationResult:
    if finding.verdict is Verdict.PASS:
        return PassResult()
    return FailResult(error_message=", ".join(finding.details), fix_value=finding.text)


@register_validator(name="parley/personal_data", data_type="string")
class NoPersonalData(Validator):  # type: ignore[misc]
    """Fails on personal data; its fix is the redacted text."""

    def validate(self, value: Any, metadata: dict[str, Any]) -> ValidationResult:
        """Check one reply; `sources` in the metadata are the texts it cites, `region` the country of phone numbers."""
        return _result(reply_personal_data(str(value), metadata.get("sources", ()), metadata.get("region", "US")))


@register_validator(name="parley/profanity", data_type="string")
class NoProfanity(Validator):  # type: ignore[misc]
    """Fails on strong language; its fix is the masked text."""

    def validate(self, value: Any, metadata: dict[str, Any]) -> ValidationResult:
        """Check one reply; `sources` in the metadata are the texts it cites."""
        return _result(reply_profanity(str(value), metadata.get("sources", ())))


class ReplyGuard:
    """A guard over replies: what fails is fixed."""

    def __init__(self) -> None:
        _without_telemetry()
        self._guard = Guard(name="reply").use(NoPersonalData(on_fail="fix"), NoProfanity(on_fail="fix"))

    def fix(self, text: str, sources: Sequence[str], region: str) -> str:
        """The text as it may go out. Takes some milliseconds of the calling thread."""
        return str(self._guard.validate(text, metadata={"sources": sources, "region": region}).validated_output)
