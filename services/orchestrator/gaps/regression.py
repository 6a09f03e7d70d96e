"""After an approved answer has been indexed: the questions that had failed are asked again."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from redis.asyncio import Redis

from packages.core import streams
from packages.core.db.base import now
from packages.core.db.session import Database
from packages.core.db.tables.gaps import GapQuestion, KnowledgeGap
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.domain.tenants import BrandProfile
from packages.core.errors import NotFound
from services.orchestrator.brands import service as brands
from services.orchestrator.engine.turn import Answer, Engine, HistoryMessage
from services.orchestrator.gaps import repository

log = structlog.get_logger(__name__)
MOST_QUESTIONS = 20
ANSWERED_SHARE = 0.8
"""Share of a gap's questions that must be answered now for the gap to count as answered."""
STALE_SECONDS = 600.0
"""A check whose process died is taken up again after so long."""


class Regression:
    """Asks the questions of gaps again, with the very engine that answers customers."""

    def __init__(self, database: Database, redis: Redis, engine: Engine) -> None:
        self._database = database
        self._redis = redis
        self._engine = engine

    async def check(self) -> int:
        """Check every gap whose new source has been indexed, or could not be; returns how many they were.

        Raises:
            Unavailable: retrieval is away; what was not checked yet stays due.
        """
        async with self._database.direct_across_tenants() as on:
            claimed = await repository.claim_checks(on, stale_seconds=STALE_SECONDS)
        done: set[UUID] = set()
        try:
            for row in claimed:
                await self._check(row.tenant_id, row.brand_id, row.id, row.source_id)
                done.add(row.id)
        finally:
            for row in claimed:
                if row.id not in done:
                    async with self._database.tenant(row.tenant_id) as session:
                        await repository.give_back(session, row.id)
        return len(claimed)

    async def _check(self, tenant_id: UUID, brand_id: UUID, gap_id: UUID, source_id: UUID | None) -> None:
        async with self._database.tenant(tenant_id) as session:
            try:
                profile = await brands.profile(session, brand_id)
            except NotFound:  # the brand went, and its gaps with it
                return
            source = await repository.source_state(session, source_id)
            questions = await repository.latest_questions(session, gap_id, MOST_QUESTIONS)
        outcomes: dict[UUID, dict[str, Any]] = {}
        if source is not None and source.status == "ready":
            outcomes = {item.id: await self._ask(profile, item, str(source_id)) for item in questions}
        async with self._database.tenant(tenant_id) as session:
            gap = await session.get(KnowledgeGap, gap_id, with_for_update=True)
            if gap is None or gap.source_id != source_id or gap.check_state != "checking":
                return  # approved anew meanwhile: that source is checked when its turn comes
            for item in questions:
                if (row := await session.get(GapQuestion, item.id)) is not None:
                    row.outcome = outcomes.get(item.id)
            _conclude(gap, source, list(outcomes.values()))
        event = {"type": "gaps.changed", "data": {"brand_id": str(brand_id), "gap_ids": [str(gap_id)]}}
        await streams.announce(self._redis, streams.live_channel(str(tenant_id)), event)
        log.info("gap_checked", gap_id=str(gap_id), questions=len(outcomes))

    async def _ask(self, profile: BrandProfile, item: GapQuestion, source_id: str) -> dict[str, Any]:
        history = [HistoryMessage(author=author, text=text) for author, text in item.history]
        answer = await self._engine.answer(profile, item.question, history)
        cites = any(citation.source_id == source_id for citation in answer.citations)
        return {
            "passed": _passes(item, answer, cites),
            "abstained": answer.abstained,
            "cites_source": cites,
            "confidence": answer.confidence,
            "answer": answer.text,
            "trace_id": answer.trace_id,
        }


def _passes(item: GapQuestion, answer: Answer, cites: bool) -> bool:
    """A question that had an answer which did not help must now be answered from the new source."""
    if answer.abstained or not answer.citations:
        return False
    return cites or item.reason == "withheld"


def _conclude(gap: KnowledgeGap, source: KnowledgeSource | None, outcomes: Sequence[dict[str, Any]]) -> None:
    gap.updated_at = now()
    if source is None:
        gap.status = "drafted" if gap.draft_answer else "open"
        gap.check_state, gap.outcome = None, {"error": {"code": "source_deleted", "message": "The source is gone."}}
        return
    if source.status != "ready":
        gap.check_state, gap.outcome = "failed", {"error": source.error or {"code": "failed"}}
        return
    passed = sum(1 for outcome in outcomes if outcome["passed"])
    holds = passed >= ANSWERED_SHARE * len(outcomes)
    gap.outcome = {"questions": len(outcomes), "passed": passed, "source_version": source.version}
    gap.check_state = "passed" if holds else "failed"
    gap.status = "answered" if holds else "drafted"
    gap.answered_at = now() if holds else None
