"""A draft as the engine sees it: another persona, other settings, another model, other sources."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from packages.core.config import LLMEndpoint
from packages.core.domain.tenants import BrandProfile
from packages.core.errors import InvalidInput
from packages.rag.retrieval import SearchFilters
from services.orchestrator.engine.llm import Completion, Model, Prompt
from services.orchestrator.evaluations.schemas import EXTRACTIVE, Draft


@dataclass(slots=True)
class Usage:
    """Tokens of one answer, over all attempts."""

    tokens_in: int = 0
    tokens_out: int = 0


usage: ContextVar[Usage] = ContextVar("evaluation_usage")
"""Set anew for each answer; every task has its own."""


class Metered:
    """A model whose tokens are counted for whoever asks."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The model's own name."""
        return self._model.name

    async def complete(
        self, prompt: Prompt, *, seconds: float | None = None, tools: Sequence[Mapping[str, Any]] = ()
    ) -> Completion:
        """The model's answer; raises as the model does."""
        completion = await self._model.complete(prompt, seconds=seconds, tools=tools)
        counted = usage.get(None)
        if counted is not None:
            counted.tokens_in += completion.tokens_in or 0
            counted.tokens_out += completion.tokens_out or 0
        return completion

    def stream(self, prompt: Prompt, *, seconds: float | None = None) -> AsyncIterator[str]:
        """The model's stream, not counted."""
        return self._model.stream(prompt, seconds=seconds)

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()


def endpoints(draft: Draft, configured: Sequence[LLMEndpoint]) -> list[LLMEndpoint]:
    """The language models that a draft asks for, in order; none means the extractive answerer.

    Raises:
        InvalidInput: the installation has no such model.
    """
    if draft.model is None:
        return list(configured)
    if draft.model == EXTRACTIVE:
        return []
    chosen = [endpoint for endpoint in configured if endpoint.model == draft.model]
    if not chosen:
        known = ", ".join([EXTRACTIVE, *dict.fromkeys(endpoint.model for endpoint in configured)])
        raise InvalidInput(f"There is no model {draft.model!r} here; there are: {known}.")
    return chosen


def profile(draft: Draft, live: BrandProfile) -> BrandProfile:
    """The brand with the draft laid over it."""
    changed: dict[str, Any] = draft.persona.model_dump(exclude_none=True) if draft.persona else {}
    if "languages" in changed:
        changed["languages"] = tuple(changed["languages"])
    return replace(live, settings={**live.settings, **draft.settings}, **changed)


def filters(draft: Draft, present: Sequence[UUID]) -> SearchFilters | None:
    """What the search is narrowed to; `present` are the ids of all sources of the brand."""
    if draft.only_sources is None and not draft.without_sources:
        return None
    chosen = set(present if draft.only_sources is None else draft.only_sources) - set(draft.without_sources)
    return SearchFilters(source_ids=frozenset(chosen))
