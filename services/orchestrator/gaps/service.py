"""What admins do with gaps: dismiss, draft, and approve an answer, which then becomes a source."""

from collections.abc import Sequence
from uuid import UUID

from arq.connections import ArqRedis
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core import jobs
from packages.core.config import KnowledgeSettings
from packages.core.db.base import now
from packages.core.db.repository import Page
from packages.core.db.session import Database
from packages.core.db.tables.gaps import KnowledgeGap
from packages.core.storage import ObjectStore
from services.orchestrator.gaps import repository
from services.orchestrator.gaps.schemas import Approval, GapChange, GapRead
from services.orchestrator.knowledge import service as knowledge
from services.orchestrator.knowledge.schemas import FAQCreate, Pair
from services.orchestrator.paging import Listed

TAG = "gap"
"""Borne by sources that came of gaps."""


async def shown(session: AsyncSession, gaps: Sequence[KnowledgeGap]) -> list[GapRead]:
    """Gaps with their latest wordings."""
    examples = await repository.examples(session, [gap.id for gap in gaps])
    return [GapRead.model_validate(gap).model_copy(update={"examples": examples[gap.id]}) for gap in gaps]


async def shown_page(session: AsyncSession, page: Page[KnowledgeGap]) -> Listed[GapRead]:
    """A page of gaps with their latest wordings."""
    return Listed(items=await shown(session, page.items), next_cursor=page.next_cursor)


async def change(session: AsyncSession, brand_id: UUID, gap_id: UUID, wanted: GapChange) -> KnowledgeGap:
    """Dismiss a gap, take it up again, or set its draft.

    Raises:
        NotFound: no such gap.
    """
    gap = await repository.gap_of(session, brand_id, gap_id)
    if wanted.draft_question is not None:
        gap.draft_question = wanted.draft_question
    if wanted.draft_answer is not None:
        gap.draft_answer, gap.draft_likeness = wanted.draft_answer, None
    if wanted.status is not None:
        gap.status = wanted.status
        gap.answered_at = None
    if gap.status == "open" and gap.draft_answer:
        gap.status = "drafted"
    gap.updated_at = now()
    await session.flush()
    return gap


async def approve(
    database: Database,
    storage: ObjectStore,
    queue: ArqRedis,
    tenant_id: UUID,
    brand_id: UUID,
    gap_id: UUID,
    approval: Approval,
    limits: KnowledgeSettings,
) -> KnowledgeGap:
    """Make the answer a source of the brand; once it is indexed, the gap's questions are asked again.

    An answer that was approved for this gap before is replaced.

    Raises:
        NotFound: no such gap. QuotaExceeded. Unavailable: the object store is away; nothing has changed.
    """
    async with database.tenant(tenant_id) as session:
        await repository.gap_of(session, brand_id, gap_id)
    pair = Pair(question=approval.question, answer=approval.answer)
    new = knowledge.from_body(FAQCreate(faq=[pair], title=approval.question[:500], tags=[TAG]))
    source, is_new = await knowledge.take(database, storage, tenant_id, brand_id, new, limits=limits)
    gone: list[jobs.KnowledgeDeleteJob] = []
    async with database.tenant(tenant_id) as session:
        gap = await repository.gap_of(session, brand_id, gap_id)
        await session.refresh(gap, with_for_update=True)
        before, gap.source_id = gap.source_id, source.id
        gap.draft_question, gap.draft_answer, gap.draft_likeness = approval.question, approval.answer, None
        gap.status, gap.check_state, gap.outcome, gap.answered_at = "drafted", "waiting", None, None
        gap.updated_at = now()
        await session.flush()
        if before not in {None, source.id} and not await repository.is_shared(session, before, gap.id):
            gone = await knowledge.delete(session, brand_id, before)
    if is_new:
        await knowledge.wake_worker(queue, source)
    await knowledge.clean_up(queue, gone)
    return gap
