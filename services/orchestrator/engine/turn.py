"""One answer, from question to reply: read it, retrieve, draft, check the draft, answer or say "I don't know"."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

import structlog

from packages.core import tracing
from packages.core.db.session import Database
from packages.core.domain.knowledge import Citation
from packages.core.domain.tenants import BrandProfile
from packages.rag.documents import Hit, Scope
from packages.rag.retrieval import Knowledge, SearchFilters, open_knowledge, retrieve_context
from services.orchestrator.engine import followup, grounding, guardrails, intents, metrics, phrases, prompt
from services.orchestrator.engine.compression import Compressed, compress
from services.orchestrator.engine.confidence import THRESHOLD
from services.orchestrator.engine.extractive import ExtractiveAnswerer
from services.orchestrator.engine.llm.chain import Chain
from services.orchestrator.engine.llm.openai_compatible import OpenAICompatible
from services.orchestrator.engine.policies import Verdict, brand_rules, injection
from services.orchestrator.engine.prompt import HistoryMessage
from services.orchestrator.settings import OrchestratorSettings

__all__ = ["Answer", "Engine", "Explained", "HistoryMessage"]

HITS = 6
LEASE_SHARE = 0.7
"""The models together get this share of a turn's lease; the rest is for retrieval, checks and the commit."""
LONGEST_QUESTION = 4000
STOPPED = frozenset({Verdict.WITHHOLD, Verdict.HANDOVER})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to reply, and why.

    `text` carries [1], [2] … for its `citations`, in order. `abstained` is true for an honest "I don't know";
    `offer_person` asks the caller to offer or begin a handover (`trace["wants_person"]`: the customer asked for one).
    `context` holds the snippets that the draft was made from, best first.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    abstained: bool = False
    confidence: float = 1.0
    offer_person: bool = False
    context: tuple[dict[str, Any], ...] = ()
    trace: dict[str, Any] = field(default_factory=dict)
    trace_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A checked draft; without text there is nothing to say."""

    text: str
    citations: tuple[Citation, ...]
    confidence: float
    drafted_by: str


@dataclass(slots=True, kw_only=True)
class _Turn:
    """What one answer is about; `trace`, `hits` and `draft` come on the way."""

    brand: BrandProfile
    question: str
    history: tuple[HistoryMessage, ...]
    language: str
    trace: dict[str, Any]
    filters: SearchFilters | None = None
    hits: tuple[Hit, ...] = ()
    draft: _Draft | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An answer with what it was decided from.

    `candidate` is the draft that was on the table, whether or not it went out; None where there was none. An answer
    goes out from `threshold` upwards.
    """

    answer: Answer
    hits: tuple[Hit, ...]
    candidate: str | None
    candidate_citations: tuple[Citation, ...]
    candidate_confidence: float
    threshold: float


class Engine:
    """Answers questions from a brand's knowledge. One per process; safe to share between tasks.

    Args:
        knowledge: store and embedder.
        models: language models in order; may be empty.
    """

    def __init__(self, knowledge: Knowledge, models: Chain) -> None:
        self.knowledge = knowledge
        self._models = models
        self._extractive = ExtractiveAnswerer(knowledge.embedder)
        self._reply_guard: guardrails.TextGuard | None = None
        self._loading: asyncio.Task[None] | None = None

    @classmethod
    async def create(cls, settings: OrchestratorSettings, database: Database) -> "Engine":
        """Load the embedder, open the store, and open one client per endpoint.

        Raises:
            MissingModel: the local embedding model was not brought yet.
        """
        knowledge = await asyncio.to_thread(open_knowledge, settings, database)
        await knowledge.store.initialize(knowledge.embedder.dimensions, knowledge.embedder.name)
        models = [OpenAICompatible(endpoint, settings.llm) for endpoint in settings.llm.endpoints]
        budget = LEASE_SHARE * settings.turn.lease_seconds
        engine = cls(knowledge, Chain(models, budget=budget))
        if settings.guardrails_ai:
            engine.load_reply_guard()
        return engine

    def load_reply_guard(self) -> "asyncio.Task[None]":
        """Load guardrails-ai on a thread; replies pass through it from then on. Done when the returned task is."""

        async def load() -> None:
            self._reply_guard = await asyncio.to_thread(guardrails.load_reply_guard)
            log.info("guardrails_loaded")

        self._loading = asyncio.create_task(load(), name="guardrails")
        return self._loading

    async def close(self) -> None:
        """Close the connections to the models and to the embedder."""
        if self._loading is not None:
            self._loading.cancel()
        await self._models.close()
        await self.knowledge.close()

    async def answer(
        self,
        brand: BrandProfile,
        question: str,
        history: Sequence[HistoryMessage] = (),
        *,
        filters: SearchFilters | None = None,
    ) -> Answer:
        """Answer one message of a customer.

        Models that fail or hang, and drafts that do not hold, are never the caller's concern: the next model answers,
        at last the extractive answerer.

        Args:
            brand: whose persona and knowledge.
            question: the customer's latest message, or several in one text.
            history: what was said before, oldest first.
            filters: narrows the sources that may answer.

        Raises:
            Unavailable: retrieval itself is away; the same question can be asked again.
        """
        return await self._reply(_begin(brand, question, history, filters))

    async def explain(self, brand: BrandProfile, question: str, history: Sequence[HistoryMessage] = ()) -> Explained:
        """The answer of `answer`, with everything it was decided from.

        Raises:
            Unavailable: as for `answer`.
        """
        turn = _begin(brand, question, history)
        answer = await self._reply(turn)
        return Explained(
            answer=answer,
            hits=turn.hits,
            candidate=turn.draft.text if turn.draft else None,
            candidate_citations=turn.draft.citations if turn.draft else (),
            candidate_confidence=turn.draft.confidence if turn.draft else 0.0,
            threshold=_threshold(brand),
        )

    async def _reply(self, turn: _Turn) -> Answer:
        with tracing.span("engine.answer", tenant_id=turn.brand.tenant_id, brand_id=turn.brand.id):
            answer = _without_knowledge(turn) or await self._from_knowledge(turn)
            metrics.ANSWERS.labels(_outcome(answer), answer.trace.get("drafted_by", "phrases")).inc()
            log.info("answered", outcome=_outcome(answer), confidence=answer.confidence, **turn.trace["ms"])
            return answer

    async def _from_knowledge(self, turn: _Turn) -> Answer:
        hits = await self._retrieve(turn)
        turn.hits = tuple(hits)
        started = time.perf_counter()
        inspected = self._inspect(turn, hits)
        if inspected.verdict in STOPPED:
            return _stopped(turn, inspected.verdict)
        draft = turn.draft = await self._draft(turn, inspected)
        turn.trace["ms"]["draft"] = _ms_since(started)
        if draft is None or draft.confidence < _threshold(turn.brand):
            return _abstention(turn, hits, draft.confidence if draft else 0.0)
        cited = {citation.chunk_id for citation in draft.citations}
        sources = [hit.text for hit in hits if str(hit.chunk_id) in cited]
        reviewed = await self._review(turn, draft.text, sources)
        if reviewed.verdict in STOPPED:
            return _stopped(turn, reviewed.verdict)
        turn.trace["drafted_by"] = draft.drafted_by
        return _answer(
            turn, reviewed.text, citations=draft.citations, confidence=draft.confidence, context=_snippets(hits)
        )

    async def _retrieve(self, turn: _Turn) -> list[Hit]:
        started = time.perf_counter()
        query = followup.search_text(injection.harmless_part(turn.question), turn.history)
        scope = Scope(tenant_id=UUID(turn.brand.tenant_id), brand_id=UUID(turn.brand.id))
        hits = await retrieve_context(self.knowledge, scope, query, limit=HITS, filters=turn.filters)
        turn.trace |= {"query": query, "hits": [_hit_trace(hit) for hit in hits]}
        turn.trace["ms"]["retrieve"] = _ms_since(started)
        return hits

    def _inspect(self, turn: _Turn, hits: Sequence[Hit]) -> guardrails.Inspected:
        rules = brand_rules.of(turn.brand)
        inspected = guardrails.inspect_input(turn.question, turn.history, hits, _region(turn.brand), rules)
        turn.trace["guardrails"] = [
            finding.as_dict() for finding in inspected.findings if finding.verdict is not Verdict.PASS
        ]
        return inspected

    async def _review(self, turn: _Turn, text: str, sources: Sequence[str]) -> guardrails.Reviewed:
        said = [turn.question, *(item.text for item in turn.history if item.author == "customer")]
        reviewed = await guardrails.review_reply(
            text, sources, turn.brand, region=_region(turn.brand), said=said, guard=self._reply_guard
        )
        turn.trace["guardrails"] += [finding.as_dict() | {"where": "reply"} for finding in reviewed.findings]
        return reviewed

    async def _draft(self, turn: _Turn, inspected: guardrails.Inspected) -> _Draft | None:
        """The first draft that holds: of the models, else of the extractive answerer. None if nobody can answer."""
        if not inspected.hits:
            return None
        if inspected.safe and not self._models.is_empty:
            settled, draft = await self._from_models(turn, inspected)
            if settled:
                return draft
        return await self._from_passages(turn, inspected.hits)

    async def _from_models(self, turn: _Turn, inspected: guardrails.Inspected) -> tuple[bool, _Draft | None]:
        """Whether the models settled the matter, and their draft; none if they say that the knowledge has no answer."""
        known = await self._shortened(turn, inspected.hits)
        outcome = await self._models.complete(
            prompt.build(turn.brand, known.hits, inspected.question, inspected.history)
        )
        turn.trace["attempts"] = [attempt.as_dict() for attempt in outcome.attempts]
        if outcome.completion is None:
            return False, None
        checked = await grounding.verify(
            inspected.vault.restore(outcome.completion.text), known.originals, turn.language, self.knowledge.embedder
        )
        turn.trace["grounding"] = checked.as_dict()
        if checked.refused:
            return True, None
        if not checked.citations:
            return False, None
        draft = _Draft(
            text=phrases.signed(checked.text, turn.brand, turn.language),
            citations=checked.citations,
            confidence=round(checked.confidence, 4),
            drafted_by=outcome.completion.model,
        )
        return True, draft

    async def _shortened(self, turn: _Turn, hits: Sequence[Hit]) -> Compressed:
        """The chunks as a model gets them: whole, or what fits into the brand's `context_tokens`."""
        budget = turn.brand.settings.get("context_tokens")
        if not isinstance(budget, int) or budget <= 0:
            return Compressed(tuple(hits), tuple(hits), 0, 0)
        embedder = self.knowledge.embedder
        found = await compress(turn.trace["query"], hits, budget, self._extractive, embedder)
        turn.trace["compression"] = found.as_dict()
        return found

    async def _from_passages(self, turn: _Turn, hits: Sequence[Hit]) -> _Draft | None:
        extract = await self._extractive.answer(turn.trace["query"], hits)
        if extract is None:
            return None
        turn.trace["signals"] = extract.signals.as_dict()
        text, citations = grounding.quoted(extract.passages)
        first = all(item.author == "customer" for item in turn.history)
        return _Draft(
            text=phrases.framed(text, turn.brand, turn.language, first=first),
            citations=citations,
            confidence=round(extract.confidence, 4),
            drafted_by=self._extractive.name,
        )


def _begin(
    brand: BrandProfile, question: str, history: Sequence[HistoryMessage], filters: SearchFilters | None = None
) -> _Turn:
    question = question.strip()[:LONGEST_QUESTION]
    earlier = next((item.text for item in reversed(history) if item.author == "customer"), "")
    language = phrases.language_of(question, brand, earlier)
    trace: dict[str, Any] = {"language": language, "wants_person": False, "guardrails": [], "ms": {}}
    return _Turn(
        brand=brand, question=question, history=tuple(history), language=language, trace=trace, filters=filters
    )


def _without_knowledge(turn: _Turn) -> Answer | None:
    """What needs no knowledge: the wish for a person, small talk, a message without words."""
    if intents.wants_person(turn.question):
        turn.trace["wants_person"] = True
        return _answer(turn, phrases.handover(turn.brand, turn.language), offer_person=True)
    found = intents.small_talk(turn.question)
    if found is None:
        return None
    kind, language = found
    return _answer(turn, phrases.small_talk(kind, turn.brand, language or turn.language))


def _stopped(turn: _Turn, verdict: Verdict) -> Answer:
    """What the guardrails leave to say: nothing but "I don't know", or that a person takes over."""
    if verdict is Verdict.HANDOVER:
        turn.trace["wants_person"] = True
        return _answer(turn, phrases.handover(turn.brand, turn.language), offer_person=True)
    return _abstention(turn, turn.hits, 0.0)


def _abstention(turn: _Turn, hits: Sequence[Hit], confidence: float) -> Answer:
    """An honest "I don't know", and the offer of a person."""
    return _answer(
        turn,
        phrases.unknown(turn.brand, turn.language),
        abstained=True,
        confidence=confidence,
        offer_person=True,
        context=_snippets(hits),
    )


def _answer(turn: _Turn, text: str, **rest: Any) -> Answer:
    return Answer(text=text, trace=turn.trace, trace_id=tracing.trace_id(), **rest)


def _outcome(answer: Answer) -> str:
    if answer.trace["wants_person"]:
        return "wants_person"
    if answer.abstained:
        return "abstained"
    return "answered" if answer.citations else "small_talk"


def _threshold(brand: BrandProfile) -> float:
    own = brand.settings.get("answer_threshold")
    return float(own) if isinstance(own, int | float) else THRESHOLD


def _region(brand: BrandProfile) -> str:
    """The country of the brand's locale, for phone numbers without a country code."""
    country = brand.locale.replace("_", "-").rpartition("-")[2].upper()
    return country if len(country) == 2 and "-" in brand.locale.replace("_", "-") else "US"


def _snippets(hits: Sequence[Hit]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "chunk_id": str(hit.chunk_id),
            "source_id": str(hit.source_id),
            "title": hit.title,
            "text": hit.text,
            "score": round(hit.score, 4),
            "location": asdict(hit.location),
        }
        for hit in hits
    )


def _hit_trace(hit: Hit) -> dict[str, Any]:
    dense = None if hit.dense is None else round(hit.dense, 4)
    return {
        "chunk_id": str(hit.chunk_id),
        "score": round(hit.score, 4),
        "dense": dense,
        "bm25": round(hit.bm25, 3),
        "coverage": round(hit.coverage, 4),
    }


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
