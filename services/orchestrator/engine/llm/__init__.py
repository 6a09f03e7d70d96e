"""What a model is. One file per kind of provider; `chain.py` tries them in order, `breaker.py` spares the dead ones."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt. `more` holds what tool calls need in OpenAI's form: tool_calls, tool_call_id."""

    role: Role
    content: str
    more: Mapping[str, Any] = field(default_factory=dict)


Prompt = tuple[PromptMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A whole answer. Times in milliseconds; tokens are None where the endpoint does not count them.

    `tool_calls` are what the model asks for, in OpenAI's form; then there may be no text.
    """

    text: str
    model: str
    ms: float
    first_token_ms: float
    tokens_in: int | None = None
    tokens_out: int | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()


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

    async def complete(
        self, prompt: Prompt, *, seconds: float | None = None, tools: Sequence[Mapping[str, Any]] = ()
    ) -> Completion:
        """The whole answer.

        Args:
            prompt: messages in order.
            seconds: for all of it, retries included; None means the endpoint's own limit.
            tools: what the model may ask for, in OpenAI's form.

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
