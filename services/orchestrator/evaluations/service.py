"""Evaluation sets and runs: what admins do with them."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.config import LLMEndpoint
from packages.core.db.base import now
from packages.core.db.repository import get
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.evaluations import EvaluationItem, EvaluationRun, EvaluationSet
from packages.core.errors import Conflict, InvalidInput, TooLarge
from services.orchestrator.brands import repository as brands
from services.orchestrator.evaluations import drafts, figures, growth, repository
from services.orchestrator.evaluations.schemas import (
    EXTRACTIVE,
    MOST_ITEMS,
    Added,
    Change,
    Comparison,
    GateRead,
    GateRequest,
    Grow,
    ItemCreate,
    ItemRead,
    ResultRead,
    RunCreate,
    SetRead,
    Side,
)
from services.orchestrator.paging import Paging

MOST_RUNS = 10
"""Runs of one tenant that may wait or go on at a time."""


async def shown(session: AsyncSession, sets: Sequence[EvaluationSet]) -> list[SetRead]:
    """Sets with the number of their items."""
    counts = await repository.item_counts(session, [found.id for found in sets])
    return [SetRead(**found.model_dump(), items=counts[found.id]) for found in sets]


async def add(session: AsyncSession, brand_id: UUID, set_id: UUID, new: Sequence[ItemCreate]) -> Added:
    """Add items.

    Raises:
        NotFound: no such set. InvalidInput: a source is not the brand's. TooLarge: too many items.
    """
    await repository.set_of(session, brand_id, set_id)
    wanted = [source_id for item in new for source_id in item.source_ids]
    await repository.refuse_strange_sources(session, brand_id, wanted)
    rows = [
        {
            "question": item.question,
            "history": [[said.author, said.text] for said in item.history],
            "answer": item.answer,
            "source_ids": [str(source_id) for source_id in item.source_ids],
            "abstain": item.abstain,
        }
        for item in new
    ]
    return await _add(session, set_id, rows)


async def grow(session: AsyncSession, brand_id: UUID, set_id: UUID, wanted: Grow) -> Added:
    """Add items from conversations; what the set has already stays as it is.

    Raises:
        NotFound: no such set. TooLarge: too many items.
    """
    await repository.set_of(session, brand_id, set_id)
    rows: list[dict[str, Any]] = []
    if "gaps" in wanted.origins:
        rows += await growth.from_gaps(session, brand_id, days=wanted.days, most=wanted.limit)
    if "answers" in wanted.origins:
        rows += await growth.from_answers(session, brand_id, days=wanted.days, most=wanted.limit)
    known = set(map(str, await repository.source_ids(session, brand_id)))
    for row in rows:
        row["source_ids"] = [source_id for source_id in row["source_ids"] if source_id in known]
    return await _add(session, set_id, [row for row in rows if row["question"]][: wanted.limit])


async def start(
    session: AsyncSession, brand_id: UUID, set_id: UUID, wanted: RunCreate, models: Sequence[LLMEndpoint]
) -> EvaluationRun:
    """Queue a run; then wake the runner.

    Raises:
        NotFound: no such set. InvalidInput: no such model or source. Conflict: the set is empty, or too many runs wait.
    """
    found = await repository.set_of(session, brand_id, set_id)
    total = (await repository.item_counts(session, [set_id]))[set_id]
    if total == 0:
        raise Conflict("The set has no items yet.")
    await repository.one_change_at_a_time(session, found.tenant_id)
    if await repository.unfinished(session) >= MOST_RUNS:
        raise Conflict(f"{MOST_RUNS} runs wait already; let some finish, or cancel them.")
    draft = wanted.draft
    chosen = drafts.endpoints(draft, models)
    strange = [*draft.without_sources, *(draft.only_sources or ())]
    await repository.refuse_strange_sources(session, brand_id, strange)
    brand = await get(session, Brand, brand_id)
    _, persona = await brands.persona_of(session, brand_id)
    run = EvaluationRun(
        tenant_id=found.tenant_id,
        brand_id=brand_id,
        set_id=set_id,
        name=wanted.name,
        total=total,
        draft=draft.model_dump(mode="json", exclude_defaults=True),
        state={
            "knowledge_version": brand.knowledge_version,
            "persona_version": persona.version,
            "models": [endpoint.model for endpoint in chosen] or [EXTRACTIVE],
            "prices": wanted.prices.model_dump() if wanted.prices else None,
        },
    )
    session.add(run)
    await session.flush()
    return run


async def cancel(session: AsyncSession, run: EvaluationRun) -> EvaluationRun:
    """Call a run off; what it has answered stays. Harmless to repeat.

    Raises:
        Conflict: it is over already.
    """
    await session.refresh(run, with_for_update=True)
    if run.status not in {*repository.UNFINISHED, "cancelled"}:
        raise Conflict(f"The run is {run.status} already.")
    if run.status != "cancelled":
        run.status, run.finished_at, run.lease_token, run.lease_until = "cancelled", now(), None, None
    return run


async def compare(
    session: AsyncSession,
    before: EvaluationRun,
    after: EvaluationRun,
    paging: Paging,
    only: frozenset[Change] | None,
) -> Comparison:
    """Two runs side by side. The counts are of all items; the page holds those whose change is among `only`."""
    both = [(figures.change(old, new), item, old, new) for item, old, new in
            await repository.sides(session, before.id, after.id)]  # fmt: skip
    start_at = _after(paging.cursor)
    chosen = [
        Side(
            item=ItemRead.model_validate(item),
            change=change,
            before=ResultRead.model_validate(old) if old else None,
            after=ResultRead.model_validate(new) if new else None,
        )
        for change, item, old, new in both
        if (only is None or change in only) and (start_at is None or item.id > start_at)
    ]
    shown_now = chosen[: paging.limit]
    return Comparison(
        run_id=after.id,
        against=before.id,
        counts=dict(Counter(change for change, *_ in both)),
        metrics_before=before.metrics,
        metrics_after=after.metrics,
        items=shown_now,
        next_cursor=str(shown_now[-1].item.id) if len(chosen) > paging.limit else None,
    )


async def run_before(session: AsyncSession, run: EvaluationRun, named: UUID | None) -> EvaluationRun | None:
    """The run that this one is compared with: the one named, else the last finished one of what was live before.

    Raises:
        NotFound: the set has no run of that name.
    """
    if named is not None:
        return await repository.run_of(session, run.brand_id, run.set_id, named)
    return await repository.latest_live_run(session, run)


async def gate(session: AsyncSession, run: EvaluationRun, wanted: GateRequest) -> GateRead:
    """Whether what the run tested may go live. The verdict is kept on the run.

    Raises:
        NotFound: there is no run `against` of the same set. Conflict: one of both is not done.
    """
    _refuse_unfinished(run)
    earlier = await run_before(session, run, wanted.against)
    worse: int | None = None
    if earlier is not None:
        _refuse_unfinished(earlier)
        worse = await repository.regressions(session, earlier.id, run.id)
    passed, reasons = figures.decide(wanted, run.metrics, worse)
    verdict = GateRead(
        passed=passed,
        reasons=reasons,
        pass_rate=float(str(run.metrics.get("pass_rate") or 0)),
        regressions=worse,
        against=earlier.id if earlier else None,
        min_pass_rate=wanted.min_pass_rate,
        max_regressions=wanted.max_regressions,
    )
    run.gate = verdict.model_dump(mode="json") | {"decided_at": now().isoformat()}
    return verdict


def _refuse_unfinished(run: EvaluationRun) -> None:
    if run.status != "done":
        raise Conflict(f"The run {run.id} is {run.status}; only a run that is done can be judged.")


async def _add(session: AsyncSession, set_id: UUID, rows: Sequence[dict[str, Any]]) -> Added:
    await repository.one_change_at_a_time(session, set_id)
    before = (await repository.item_counts(session, [set_id]))[set_id]
    if before + len(rows) > MOST_ITEMS:
        raise TooLarge(f"A set has at most {MOST_ITEMS} items; this one has {before}.")
    owner = await get(session, EvaluationSet, set_id)
    digests = await asyncio.to_thread(lambda: [_digest(row) for row in rows])
    items = [
        EvaluationItem(tenant_id=owner.tenant_id, set_id=set_id, digest=digest, **row)
        for digest, row in dict(zip(digests, rows, strict=True)).items()
    ]
    added = 0
    for first in range(0, len(items), 500):
        added += await repository.add_items(session, items[first : first + 500])
    return Added(added=added, known=len(rows) - added, items=before + added)


def _digest(row: dict[str, Any]) -> str:
    """Of the question in its context; case and space do not make another."""
    said = [" ".join(str(row["question"]).casefold().split()), row["history"]]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def _after(cursor: str | None) -> UUID | None:
    try:
        return UUID(cursor) if cursor else None
    except ValueError:
        raise InvalidInput("The cursor is not one of ours; start again without it.") from None
