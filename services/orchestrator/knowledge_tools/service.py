"""Why a question was answered as it was, in words."""

from collections.abc import Mapping
from typing import Any

from packages.rag.documents import Hit
from packages.rag.lexical import query_terms, terms
from services.orchestrator.engine.turn import Explained
from services.orchestrator.knowledge.schemas import AnswerRead, CitationRead, LocationRead
from services.orchestrator.knowledge_tools.schemas import Candidate, Decision, ExplainedHit, Explanation

_PASSED_ON = ("query", "hits", "signals", "ms", "language")


def explanation(question: str, explained: Explained, total_ms: float) -> Explanation:
    """An explained answer as the API shows it. CPU-bound: a few milliseconds."""
    given, trace = explained.answer, explained.answer.trace
    query = trace.get("query")
    wanted = query_terms(query) if query else []
    cited = {citation.chunk_id for citation in explained.candidate_citations}
    return Explanation(
        question=question,
        rewritten_question=query,
        language=trace["language"],
        terms=wanted,
        hits=[_hit(hit, wanted, str(hit.chunk_id) in cited) for hit in explained.hits],
        candidate=_candidate(explained),
        decision=_decision(explained),
        answer=AnswerRead(
            answer=given.text,
            citations=[CitationRead.model_validate(citation) for citation in given.citations],
            abstained=given.abstained,
            confidence=given.confidence,
            offer_person=given.offer_person,
            trace_id=given.trace_id,
        ),
        signals=trace.get("signals") or {},
        timings_ms={**_numbers(trace["ms"]), "total": round(total_ms, 2)},
        trace={name: value for name, value in trace.items() if name not in _PASSED_ON},
    )


def _hit(hit: Hit, wanted: list[str], cited: bool) -> ExplainedHit:
    held = set(terms("\n".join([hit.title, *hit.headings, hit.text])))
    return ExplainedHit(
        chunk_id=hit.chunk_id,
        source_id=hit.source_id,
        source_version=hit.source_version,
        title=hit.title,
        text=hit.text,
        kind=hit.kind,
        location=LocationRead.model_validate(hit.location),
        score=round(hit.score, 4),
        dense=None if hit.dense is None else round(hit.dense, 4),
        bm25=round(hit.bm25, 3),
        coverage=round(hit.coverage, 4),
        matched_terms=[term for term in wanted if term in held],
        cited=cited,
    )


def _candidate(explained: Explained) -> Candidate | None:
    if explained.candidate is None:
        return None
    return Candidate(
        text=explained.candidate,
        citations=[CitationRead.model_validate(citation) for citation in explained.candidate_citations],
        confidence=explained.candidate_confidence,
    )


def _decision(explained: Explained) -> Decision:
    given = explained.answer
    if given.trace.get("wants_person"):
        return _decided(explained, "wants_person", "no_question", "The customer asks for a person.")
    if given.abstained:
        return _withheld(explained)
    if not given.citations:
        return _decided(explained, "small_talk", "no_question", "Small talk is answered without any knowledge.")
    why = f"The confidence of {given.confidence:.2f} reaches the threshold of {explained.threshold:.2f}."
    return _decided(explained, "answered", "confident", why)


def _withheld(explained: Explained) -> Decision:
    if not explained.hits:
        return _decided(
            explained, "withheld", "nothing_found", "No chunk of the knowledge has to do with the question."
        )
    grounding = explained.answer.trace.get("grounding") or {}
    if explained.candidate is None and grounding.get("refused"):
        why = "The language model found no answer in the chunks it was given."
        return _decided(explained, "withheld", "model_found_no_answer", why)
    if explained.candidate is None:
        return _decided(
            explained,
            "withheld",
            "nothing_usable",
            "None of the chunks could be used; the guardrails in `trace` say why.",
        )
    confidence = explained.candidate_confidence
    why = f"The confidence of {confidence:.2f} is below the threshold of {explained.threshold:.2f}."
    return _decided(explained, "withheld", "below_threshold", why)


def _decided(explained: Explained, outcome: Any, reason: Any, why: str) -> Decision:
    return Decision(
        outcome=outcome,
        reason=reason,
        explanation=why,
        threshold=explained.threshold,
        confidence=explained.answer.confidence,
    )


def _numbers(times: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in times.items() if isinstance(value, int | float)}
