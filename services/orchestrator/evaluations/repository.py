"""Queries about evaluation sets and runs."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from packages.core.db.direct import Statement, Transaction
from packages.core.db.repository import Page, get, page
from packages.core.db.tables.evaluations import EvaluationItem, EvaluationResult, EvaluationRun, EvaluationSet
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.errors import InvalidInput, NotFound
from services.orchestrator.paging import Paging

UNFINISHED = ("queued", "running")

# The tenant with the fewest runs under way comes first, then the oldest run.
_CLAIM = Statement("""
UPDATE evaluation_run SET status = 'running', lease_token = gen_random_uuid(), attempts = attempts + 1,
    lease_until = now() + make_interval(secs => :lease), started_at = COALESCE(started_at, now())
WHERE id = (
    SELECT r.id FROM evaluation_run r
    WHERE r.status IN ('queued', 'running') AND (r.lease_until IS NULL OR r.lease_until < now())
    ORDER BY (SELECT count(*) FROM evaluation_run o WHERE o.tenant_id = r.tenant_id AND o.status = 'running'
              AND o.lease_until >= now()), r.created_at
    LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id, tenant_id, brand_id, set_id, lease_token, attempts
""")
_BEAT = Statement("""
UPDATE evaluation_run SET done = (SELECT count(*) FROM evaluation_result WHERE run_id = :run_id),
    lease_until = now() + make_interval(secs => :lease)
WHERE id = :run_id AND lease_token = :token AND status = 'running' RETURNING done, total
""")
_GIVE_BACK = Statement("""
UPDATE evaluation_run SET status = 'queued', lease_token = NULL, lease_until = now() + make_interval(secs => :delay),
    attempts = attempts - CAST(:forgive AS integer)
WHERE id = :run_id AND lease_token = :token AND status = 'running'
""")
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('evaluation:' || CAST(:id AS text), 0))")


async def claim(on: Transaction, *, lease_seconds: float) -> Any | None:
    """The run to work on next, leased to the caller; None if none waits."""
    rows = await _CLAIM.fetch(on, lease=lease_seconds)
    return rows[0] if rows else None


async def beat(on: Transaction, run_id: UUID, token: UUID, *, lease_seconds: float) -> Any | None:
    """Renew the lease and count what is done; None once the run is cancelled or another's."""
    rows = await _BEAT.fetch(on, run_id=run_id, token=token, lease=lease_seconds)
    return rows[0] if rows else None


async def give_back(on: Transaction, run_id: UUID, token: UUID, *, delay: float, forgive: bool) -> None:
    """Let the run be taken up again after `delay` seconds; `forgive`: this attempt does not count."""
    await _GIVE_BACK.fetch(on, run_id=run_id, token=token, delay=delay, forgive=int(forgive))


async def set_of(session: AsyncSession, brand_id: UUID, set_id: UUID) -> EvaluationSet:
    """A brand's set.

    Raises:
        NotFound: no such set, or it is another brand's.
    """
    found = await get(session, EvaluationSet, set_id)
    if found.brand_id != brand_id:
        raise NotFound("There is no evaluation set with this id.")
    return found


async def run_of(session: AsyncSession, brand_id: UUID, set_id: UUID, run_id: UUID) -> EvaluationRun:
    """A run of a brand's set.

    Raises:
        NotFound: no such run, or it is another set's.
    """
    found = await get(session, EvaluationRun, run_id)
    if found.brand_id != brand_id or found.set_id != set_id:
        raise NotFound("There is no evaluation run with this id.")
    return found


async def sets_page(session: AsyncSession, paging: Paging, brand_id: UUID) -> Page[EvaluationSet]:
    """The brand's sets, newest first."""
    query: Select[EvaluationSet] = select(EvaluationSet).where(col(EvaluationSet.brand_id) == brand_id)
    return await _page(session, query, EvaluationSet, paging)


async def items_page(session: AsyncSession, paging: Paging, set_id: UUID) -> Page[EvaluationItem]:
    """The items of a set, newest first."""
    query: Select[EvaluationItem] = select(EvaluationItem).where(col(EvaluationItem.set_id) == set_id)
    return await _page(session, query, EvaluationItem, paging)


async def runs_page(session: AsyncSession, paging: Paging, set_id: UUID) -> Page[EvaluationRun]:
    """The runs of a set, newest first."""
    query: Select[EvaluationRun] = select(EvaluationRun).where(col(EvaluationRun.set_id) == set_id)
    return await _page(session, query, EvaluationRun, paging)


async def results_page(
    session: AsyncSession, paging: Paging, run_id: UUID, *, passed: bool | None
) -> Page[EvaluationResult]:
    """The results of a run, newest first."""
    query: Select[EvaluationResult] = select(EvaluationResult).where(col(EvaluationResult.run_id) == run_id)
    if passed is not None:
        query = query.where(col(EvaluationResult.passed).is_(passed))
    return await _page(session, query, EvaluationResult, paging)


async def _page(session: AsyncSession, query: Select[Any], table: Any, paging: Paging) -> Page[Any]:
    return await page(
        session,
        query,
        newest_by=col(table.created_at),
        row_id=col(table.id),
        limit=paging.limit,
        cursor=paging.cursor,
    )


async def item_counts(session: AsyncSession, set_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many items each set has."""
    query = select(col(EvaluationItem.set_id), func.count()).where(col(EvaluationItem.set_id).in_(set_ids))
    rows = await session.execute(query.group_by(col(EvaluationItem.set_id)))
    return dict.fromkeys(set_ids, 0) | {row[0]: row[1] for row in rows}


async def one_change_at_a_time(session: AsyncSession, owner_id: UUID) -> None:
    """Let changes under this set or tenant follow one another until the transaction ends."""
    await session.execute(_ONE_AT_A_TIME, {"id": str(owner_id)})


async def add_items(session: AsyncSession, items: Sequence[EvaluationItem]) -> int:
    """Add the items whose question the set does not have yet; returns how many they were."""
    if not items:
        return 0
    statement = insert(EvaluationItem).values([item.model_dump() for item in items])
    added = statement.on_conflict_do_nothing(index_elements=["set_id", "digest"]).returning(col(EvaluationItem.id))
    return len((await session.execute(added)).all())


async def items_by_id(session: AsyncSession, item_ids: Sequence[UUID]) -> dict[UUID, EvaluationItem]:
    """Items by their ids."""
    rows = await session.scalars(select(EvaluationItem).where(col(EvaluationItem.id).in_(item_ids)))
    return {row.id: row for row in rows}


async def open_items(session: AsyncSession, run_id: UUID, set_id: UUID, most: int) -> list[EvaluationItem]:
    """Items of a set that a run has not answered yet, in their order."""
    done = select(col(EvaluationResult.item_id)).where(col(EvaluationResult.run_id) == run_id)
    query = select(EvaluationItem).where(col(EvaluationItem.set_id) == set_id, col(EvaluationItem.id).not_in(done))
    return list((await session.scalars(query.order_by(col(EvaluationItem.id)).limit(most))).all())


async def pairs(session: AsyncSession, run_id: UUID) -> list[tuple[EvaluationItem, EvaluationResult]]:
    """Every result of a run with its item."""
    query = (
        select(EvaluationItem, EvaluationResult)
        .join(EvaluationResult, col(EvaluationResult.item_id) == col(EvaluationItem.id))
        .where(col(EvaluationResult.run_id) == run_id)
    )
    return [(row[0], row[1]) for row in (await session.execute(query)).all()]


async def unfinished(session: AsyncSession) -> int:
    """How many runs of the tenant wait or go on."""
    query = select(func.count()).select_from(EvaluationRun).where(col(EvaluationRun.status).in_(UNFINISHED))
    return int((await session.execute(query)).scalar_one())


async def latest_live_run(session: AsyncSession, run: EvaluationRun) -> EvaluationRun | None:
    """The last finished run of the same set before this one that tested what was live."""
    query = select(EvaluationRun).where(
        col(EvaluationRun.set_id) == run.set_id,
        col(EvaluationRun.status) == "done",
        col(EvaluationRun.created_at) < run.created_at,
        col(EvaluationRun.draft) == {},
    )
    return (await session.scalars(query.order_by(col(EvaluationRun.created_at).desc()).limit(1))).first()


async def regressions(session: AsyncSession, before: UUID, after: UUID) -> int:
    """How many items were right in one run and are wrong in the other."""
    old, new = aliased(EvaluationResult), aliased(EvaluationResult)
    query = (
        select(func.count())
        .select_from(old)
        .join(new, and_(new.item_id == old.item_id, new.run_id == after))  # type: ignore[arg-type]
        .where(old.run_id == before, old.passed.is_(True), new.passed.is_(False))  # type: ignore[arg-type, attr-defined]
    )
    return int((await session.execute(query)).scalar_one())


async def sides(
    session: AsyncSession, before: UUID, after: UUID
) -> list[tuple[EvaluationItem, EvaluationResult | None, EvaluationResult | None]]:
    """The items of two runs with both results, in the order of the items."""
    old, new = aliased(EvaluationResult), aliased(EvaluationResult)
    query = (
        select(EvaluationItem, old, new)
        .outerjoin(old, and_(old.item_id == EvaluationItem.id, old.run_id == before))  # type: ignore[arg-type]
        .outerjoin(new, and_(new.item_id == EvaluationItem.id, new.run_id == after))  # type: ignore[arg-type]
        .where(or_(old.id.is_not(None), new.id.is_not(None)))  # type: ignore[attr-defined]
        .order_by(col(EvaluationItem.id))
    )
    return [(row[0], row[1], row[2]) for row in (await session.execute(query)).all()]


async def source_ids(session: AsyncSession, brand_id: UUID) -> list[UUID]:
    """The ids of all of the brand's sources."""
    query = select(col(KnowledgeSource.id)).where(col(KnowledgeSource.brand_id) == brand_id)
    return list((await session.scalars(query)).all())


async def refuse_strange_sources(session: AsyncSession, brand_id: UUID, wanted: Sequence[UUID]) -> None:
    """Raise unless all of these are the brand's.

    Raises:
        InvalidInput: some are not; the details name them.
    """
    strange = sorted(set(map(str, wanted)) - set(map(str, await source_ids(session, brand_id)))) if wanted else []
    if strange:
        raise InvalidInput("Some sources are not among the brand's.", details={"source_ids": strange[:20]})
