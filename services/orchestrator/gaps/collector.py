"""The loop that finds gaps: replies that withheld an answer become questions, alike ones a gap, agents' answers drafts.

It works behind the turns, from what they have committed, so that a turn does nothing for it. Any number of processes
may run it: a reply is recorded once, and a brand's questions are grouped by one process at a time.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import msgspec
import numpy as np
import structlog
from prometheus_client import Counter
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core import streams
from packages.core.db.base import now
from packages.core.db.session import DATABASE_ERRORS, Database
from packages.core.db.tables.gaps import GapQuestion, KnowledgeGap
from packages.core.errors import Unavailable
from packages.rag.embeddings import Embedder, Vectors
from packages.rag.lexical import detect_language, fold, query_terms
from services.orchestrator.gaps import clustering, reading, repository
from services.orchestrator.gaps.clustering import Asked, Group
from services.orchestrator.gaps.reading import Question
from services.orchestrator.gaps.regression import Regression

log = structlog.get_logger(__name__)
QUESTIONS = Counter("parley_gap_questions_total", "Questions that were withheld or handed over", ["reason"])
AT_ONCE = 100
PAUSE_SECONDS = 15.0
SETTLE_SECONDS = 120.0
"""An agent who wrote this recently may not have finished."""


class GapCollector:
    """Collects gaps until it is stopped.

    Args:
        pause_seconds: between two looks.
        settle_seconds: how long an agent's last message must be old before it makes a draft.
    """

    def __init__(
        self,
        database: Database,
        redis: Redis,
        embedder: Embedder,
        regression: Regression,
        *,
        pause_seconds: float = PAUSE_SECONDS,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._database = database
        self._redis = redis
        self._embedder = embedder
        self._regression = regression
        self._pause = pause_seconds
        self._settle = settle_seconds
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Collect until `stop`. What cannot be done now, because an engine is away, is done at the next look."""
        while not self._stopping.is_set():
            try:
                while await self.collect() and not self._stopping.is_set():
                    pass
                await self.draft()
                await self._regression.check()
            except (*DATABASE_ERRORS, Unavailable) as error:
                log.warning("gaps_postponed", error=str(error)[:200])
            try:
                await asyncio.wait_for(self._stopping.wait(), self._pause)
            except TimeoutError:
                continue

    def stop(self) -> None:
        """`run` returns soon."""
        self._stopping.set()

    async def collect(self) -> int:
        """Record replies that nobody has looked at yet; returns how many they were (0 once none are left)."""
        async with self._database.direct_across_tenants() as on:
            replies = await repository.replies(on, AT_ONCE)
        questions = await asyncio.to_thread(lambda: [reading.question_of(reply) for reply in replies])
        by_brand: dict[tuple[UUID, UUID], list[Question]] = defaultdict(list)
        for question in questions:
            by_brand[question.reply.tenant_id, question.reply.brand_id].append(question)
        for (tenant_id, brand_id), of_brand in by_brand.items():
            await self._record(tenant_id, brand_id, of_brand)
        return len(replies)

    async def draft(self) -> int:
        """Take what agents have answered meanwhile as drafts; returns how many answers there were."""
        async with self._database.direct_across_tenants() as on:
            rows = await repository.agents_answers(on, settle_seconds=self._settle, most=AT_ONCE)
        for row in rows:
            answer = await asyncio.to_thread(reading.agents_answer, msgspec.json.decode(row.texts), row.locale)
            vector = (await self._embedder.embed([answer]))[0] if answer else None
            async with self._database.tenant(row.tenant_id) as session:
                await _offer_draft(session, row.id, row.gap_id, answer, vector, self._embedder.name)
        return len(rows)

    async def _record(self, tenant_id: UUID, brand_id: UUID, questions: Sequence[Question]) -> None:
        asked = await self._read([question.query for question in questions])
        async with self._database.tenant(tenant_id) as session:
            await repository.lock_brand(session, brand_id)
            known = await repository.recorded(session, [question.reply.id for question in questions])
            gaps = await repository.groups(session, brand_id)
            await self._refresh(gaps)
            new = [pair for pair in zip(questions, asked, strict=True) if pair[0].reply.id not in known]
            grown, rows = await asyncio.to_thread(_place, gaps, new, self._embedder.name)
            session.add_all(gaps)
            await session.flush()
            session.add_all(rows)
        if grown:
            event = {"type": "gaps.changed", "data": {"brand_id": str(brand_id), "gap_ids": sorted(map(str, grown))}}
            await streams.announce(self._redis, streams.live_channel(str(tenant_id)), event)

    async def _read(self, texts: Sequence[str]) -> list[Asked]:
        vectors = await self._embedder.embed(texts)
        return [Asked(text, vector, frozenset(query_terms(text))) for text, vector in zip(texts, vectors, strict=True)]

    async def _refresh(self, gaps: Sequence[KnowledgeGap]) -> None:
        """Bring gaps that another embedder has grouped to the present one; vectors of two models never compare."""
        stale = [gap for gap in gaps if gap.embedder != self._embedder.name]
        if stale:
            vectors = await self._embedder.embed([gap.question for gap in stale])
            for gap, vector in zip(stale, vectors, strict=True):
                gap.centroid, gap.embedder = clustering.kept(vector), self._embedder.name


def _place(
    gaps: list[KnowledgeGap], asked: Sequence[tuple[Question, Asked]], embedder: str
) -> tuple[set[UUID], list[GapQuestion]]:
    """Add each question to its gap, or to a new one at the end of `gaps`.

    Returns:
        The ids of the gaps that grew, and the rows of the questions.
    """
    groups = [Group.stored(gap.centroid, gap.terms, gap.count) for gap in gaps]
    grown: set[UUID] = set()
    rows: list[GapQuestion] = []
    for question, words in asked:
        gap = None
        if words.terms:
            place = clustering.nearest(groups, words)
            if place is None:
                gap = _new_gap(question, words, embedder)
                gaps.append(gap)
                groups.append(Group.of(words))
            else:
                gap = gaps[place]
                groups[place].add(words)
                _grow(gap, groups[place], question)
            grown.add(gap.id)
        rows.append(_row(question, gap))
        QUESTIONS.labels(question.reason if gap else "nothing asked").inc()
    return grown, rows


def _new_gap(question: Question, words: Asked, embedder: str) -> KnowledgeGap:
    return KnowledgeGap(
        tenant_id=question.reply.tenant_id,
        brand_id=question.reply.brand_id,
        question=question.query,
        language=detect_language(fold(question.query)),
        count=1,
        embedder=embedder,
        centroid=clustering.kept(words.vector),
        terms=sorted(words.terms)[: clustering.MOST_TERMS],
        first_seen_at=question.asked_at,
        last_seen_at=question.asked_at,
    )


def _grow(gap: KnowledgeGap, group: Group, question: Question) -> None:
    """A question joins. One that comes after the gap was answered shows that it is still open."""
    gap.centroid, gap.terms, gap.count = clustering.kept(group.centroid), sorted(group.terms), group.count
    gap.first_seen_at = min(gap.first_seen_at, question.asked_at)
    gap.last_seen_at = max(gap.last_seen_at, question.asked_at)
    gap.updated_at = now()
    if gap.status == "answered" and gap.answered_at is not None and question.asked_at > gap.answered_at:
        gap.status = "open"


def _row(question: Question, gap: KnowledgeGap | None) -> GapQuestion:
    reply = question.reply
    confidence = reply.trace.get("confidence")
    return GapQuestion(
        tenant_id=reply.tenant_id,
        brand_id=reply.brand_id,
        gap_id=gap.id if gap else None,
        conversation_id=reply.conversation_id,
        message_id=reply.id,
        reason=question.reason,
        question=question.question,
        query=question.query,
        history=[list(said) for said in question.history],
        confidence=float(confidence) if isinstance(confidence, int | float) else None,
        trace_id=str(reply.trace["trace_id"])[:64] if reply.trace.get("trace_id") else None,
        asked_at=question.asked_at,
        replied_at=reply.replied_at,
    )


async def _offer_draft(
    session: AsyncSession,
    question_id: UUID,
    gap_id: UUID,
    answer: str,
    vector: Vectors | None,
    embedder: str,
) -> None:
    """Keep what an agent answered; of several answers to a gap, the one that is most like its questions is its draft.

    An admin's own draft, and a gap that is done with, stay as they are.
    """
    question = await session.get(GapQuestion, question_id, with_for_update=True)
    gap = await session.get(KnowledgeGap, gap_id, with_for_update=True)
    if question is None or gap is None:
        return
    question.agent_answer = answer
    is_own = gap.draft_answer is not None and gap.draft_likeness is None
    if vector is None or is_own or gap.status not in {"open", "drafted"} or gap.embedder != embedder:
        return
    centre = Group.stored(gap.centroid, (), gap.count).centroid
    likeness = float(centre @ vector / max(float(np.linalg.norm(centre)), 1e-6))
    if gap.draft_likeness is None or likeness >= gap.draft_likeness:
        gap.draft_question = gap.draft_question or gap.question
        gap.draft_answer, gap.draft_likeness, gap.status, gap.updated_at = answer, likeness, "drafted", now()
