"""What a model is. One file per kind of provider; `chain.py` tries them in order, `breaker.py` spares the dead ones."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt."""

    role: Role
    content: str


Prompt = tuple[PromptMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A whole answer. Times in milliseconds; tokens are None where the endpoint does not count them."""

    text: str
    model: str
    ms: float
    first_token_ms: float
    tokens_in: int | None = None
    tokens_out: int | None = None


class ModelFailed(Exception):
    """No usable answer. `reason` is one word for traces and metrics.

    unreachable, timeout, rate_limited, overloaded, server_error, rejected (our request), unauthorized, malformed,
    truncated, empty, circuit_open. `blames_endpoint` is false where the request was at fault, so that it does not
    count against the endpoint's health; `retry_after` is in seconds, where the endpoint named it.
    """

    def __init__(
        self, reason: str, detail: str = "", *, blames_endpoint: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.blames_endpoint = blames_endpoint
        self.retry_after = retry_after


@runtime_checkable
class Model(Protocol):
    """A language model behind one endpoint. Safe to share between tasks."""

    @property
    def name(self) -> str:
        """Names model and host in traces and metrics; no secrets."""
        ...

    async def complete(self, prompt: Prompt, *, seconds: float | None = None) -> Completion:
        """The whole answer.

        Args:
            prompt: messages in order.
            seconds: for all of it, retries included; None means the endpoint's own limit.

        Raises:
            ModelFailed: there is no answer, or only a part of one.
        """
        ...

    def stream(self, prompt: Prompt, *, seconds: float | None = None) -> AsyncIterator[str]:
        """The same, piece by piece as it is written; raises while iterating."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
