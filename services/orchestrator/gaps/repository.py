"""Queries about gaps: what the API lists, and what the collecting loop reads across tenants."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.db.base import now
from packages.core.db.direct import Statement, Transaction
from packages.core.db.repository import Page, get, page
from packages.core.db.tables.gaps import GapQuestion, KnowledgeGap
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.errors import NotFound
from services.orchestrator.gaps.reading import Reply, Said
from services.orchestrator.paging import Paging

GROUPS = 2000
"""Most groups of a brand that a new question is compared with, the last seen first."""
EXAMPLES = 3
_BRAND_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('gaps:' || CAST(:brand_id AS text), 0))")

# The first condition is the predicate of the index `ix_message_log_gaps`, word for word.
_REPLIES = Statement("""
SELECT m.id, m.tenant_id, m.conversation_id, m.created_at, m.trace::text AS trace, c.brand_id, b.locale,
       before.messages::text AS messages
FROM message_log m JOIN conversation c ON c.id = m.conversation_id JOIN brand b ON b.id = c.brand_id
CROSS JOIN LATERAL (
    SELECT COALESCE(json_agg(e ORDER BY e.seq), '[]') AS messages FROM (
        SELECT p.id, p.seq, p.author, COALESCE(p.text, '') AS text, p.answered_by, p.sent_at,
               COALESCE(p.trace->>'abstained' = 'true', false) AS abstained
        FROM message_log p
        WHERE p.conversation_id = m.conversation_id AND p.seq < m.seq AND p.direction <> 'internal'
            AND p.author IN ('customer', 'bot', 'agent') AND p.status <> 'void'
        ORDER BY p.seq DESC LIMIT 20
    ) e
) before
WHERE m.author = 'bot' AND (m.trace->>'abstained' = 'true' OR m.trace->>'wants_person' = 'true'
        OR m.trace->>'failed' = 'true')
    AND m.created_at >= GREATEST(
        (SELECT max(g.replied_at) FROM gap_question g) - make_interval(secs => 600), now() - make_interval(days => 30))
    AND m.status <> 'void' AND NOT EXISTS (SELECT 1 FROM gap_question g WHERE g.message_id = m.id)
ORDER BY m.created_at LIMIT :most
""")

_ANSWERS = Statement("""
SELECT q.id, q.tenant_id, q.gap_id, b.locale, answers.texts::text AS texts
FROM gap_question q JOIN message_log r ON r.id = q.message_id
JOIN conversation c ON c.id = q.conversation_id JOIN brand b ON b.id = q.brand_id
CROSS JOIN LATERAL (
    SELECT json_agg(a.text ORDER BY a.seq) AS texts, max(a.created_at) AS last_at FROM (
        SELECT m.text, m.seq, m.created_at FROM message_log m
        WHERE m.conversation_id = q.conversation_id AND m.seq > r.seq AND m.author = 'agent'
            AND m.direction = 'outbound' AND m.text <> '' AND m.status <> 'void'
        ORDER BY m.seq LIMIT 6
    ) a
) answers
WHERE q.gap_id IS NOT NULL AND q.agent_answer IS NULL AND q.replied_at > now() - make_interval(days => 14)
    AND c.last_message_at > now() - make_interval(days => 1) AND answers.texts IS NOT NULL
    AND (c.status <> 'open' OR answers.last_at <= now() - make_interval(secs => :settle))
ORDER BY q.id LIMIT :most
""")

_CLAIM_CHECKS = Statement("""
UPDATE knowledge_gap SET check_state = 'checking', updated_at = now() WHERE id IN (
    SELECT g.id FROM knowledge_gap g LEFT JOIN knowledge_source s ON s.id = g.source_id
    WHERE g.check_state IN ('waiting', 'checking')
        AND (g.check_state = 'waiting' OR g.updated_at < now() - make_interval(secs => :stale))
        AND (s.id IS NULL OR s.status IN ('ready', 'failed'))
    ORDER BY g.updated_at LIMIT 20 FOR UPDATE OF g SKIP LOCKED
) RETURNING id, tenant_id, brand_id, source_id
""")

_decode_said = msgspec.json.Decoder(list[Said], strict=False).decode


async def replies(on: Transaction, most: int) -> list[Reply]:
    """Replies that show gaps and were not looked at yet, oldest first, of all tenants."""
    return [
        Reply(
            id=row.id,
            tenant_id=row.tenant_id,
            brand_id=row.brand_id,
            conversation_id=row.conversation_id,
            locale=row.locale,
            replied_at=row.created_at,
            trace=msgspec.json.decode(row.trace),
            before=_decode_said(row.messages),
        )
        for row in await _REPLIES.fetch(on, most=most)
    ]


async def agents_answers(on: Transaction, *, settle_seconds: float, most: int) -> list[Any]:
    """Questions whose conversation an agent has answered since, with the agent's `texts` as JSON, of all tenants.

    An agent who wrote in the last `settle_seconds` may not have finished.
    """
    return await _ANSWERS.fetch(on, settle=settle_seconds, most=most)


async def claim_checks(on: Transaction, *, stale_seconds: float) -> list[Any]:
    """Gaps whose new source is indexed or has failed: they are the caller's for `stale_seconds`."""
    return await _CLAIM_CHECKS.fetch(on, stale=stale_seconds)


async def lock_brand(session: AsyncSession, brand_id: UUID) -> None:
    """Let those who group a brand's questions follow one another until the transaction ends."""
    await session.execute(_BRAND_LOCK, {"brand_id": str(brand_id)})


async def groups(session: AsyncSession, brand_id: UUID) -> list[KnowledgeGap]:
    """The brand's gaps, the last seen first."""
    query = select(KnowledgeGap).where(col(KnowledgeGap.brand_id) == brand_id)
    return list((await session.scalars(query.order_by(col(KnowledgeGap.last_seen_at).desc()).limit(GROUPS))).all())


async def recorded(session: AsyncSession, message_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these replies were looked at already."""
    query = select(col(GapQuestion.message_id)).where(col(GapQuestion.message_id).in_(message_ids))
    return set((await session.scalars(query)).all())


async def gap_of(session: AsyncSession, brand_id: UUID, gap_id: UUID) -> KnowledgeGap:
    """A brand's gap.

    Raises:
        NotFound: no such gap, or it is another brand's.
    """
    gap = await get(session, KnowledgeGap, gap_id)
    if gap.brand_id != brand_id:
        raise NotFound("There is no knowledge gap with this id.")
    return gap


async def gaps_page(
    session: AsyncSession, paging: Paging, brand_id: UUID, *, status: str | None, least: int
) -> Page[KnowledgeGap]:
    """The brand's gaps that were seen at least so often, the last seen first."""
    query: Select[KnowledgeGap] = select(KnowledgeGap).where(
        col(KnowledgeGap.brand_id) == brand_id, col(KnowledgeGap.count) >= least
    )
    if status is not None:
        query = query.where(col(KnowledgeGap.status) == status)
    return await page(
        session,
        query,
        newest_by=col(KnowledgeGap.last_seen_at),
        row_id=col(KnowledgeGap.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )


async def questions_page(session: AsyncSession, paging: Paging, gap_id: UUID) -> Page[GapQuestion]:
    """The questions of a gap, newest first."""
    query: Select[GapQuestion] = select(GapQuestion).where(col(GapQuestion.gap_id) == gap_id)
    return await page(
        session,
        query,
        newest_by=col(GapQuestion.asked_at),
        row_id=col(GapQuestion.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )


async def latest_questions(session: AsyncSession, gap_id: UUID, most: int) -> list[GapQuestion]:
    """The newest questions of a gap."""
    query = select(GapQuestion).where(col(GapQuestion.gap_id) == gap_id)
    return list((await session.scalars(query.order_by(col(GapQuestion.asked_at).desc()).limit(most))).all())


async def examples(session: AsyncSession, gap_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    """The newest few questions of each gap, in the customers' words; each wording once."""
    place = func.row_number().over(partition_by=col(GapQuestion.gap_id), order_by=col(GapQuestion.asked_at).desc())
    ranked = (
        select(col(GapQuestion.gap_id), col(GapQuestion.question), place.label("place"))
        .where(col(GapQuestion.gap_id).in_(gap_ids))
        .subquery()
    )
    rows = await session.execute(select(ranked).where(ranked.c.place <= EXAMPLES).order_by(ranked.c.place))
    found: dict[UUID, list[str]] = {gap_id: [] for gap_id in gap_ids}
    for gap_id, question, _ in rows:
        if question not in found[gap_id]:
            found[gap_id].append(question)
    return found


async def is_shared(session: AsyncSession, source_id: UUID, gap_id: UUID) -> bool:
    """Whether another gap rests on the source as well."""
    query = select(col(KnowledgeGap.id)).where(col(KnowledgeGap.source_id) == source_id, col(KnowledgeGap.id) != gap_id)
    return (await session.execute(query.limit(1))).first() is not None


async def source_state(session: AsyncSession, source_id: UUID | None) -> KnowledgeSource | None:
    """The source; None if it is gone."""
    return None if source_id is None else await session.get(KnowledgeSource, source_id)


async def give_back(session: AsyncSession, gap_id: UUID) -> None:
    """Let a check that could not be made be taken up again, at once."""
    await session.execute(
        update(KnowledgeGap)
        .where(col(KnowledgeGap.id) == gap_id, col(KnowledgeGap.check_state) == "checking")
        .values(check_state="waiting", updated_at=now())
    )
