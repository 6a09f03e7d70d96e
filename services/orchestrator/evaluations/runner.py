"""The loop that works evaluation runs off: claim one under a lease, ask its questions, judge, sum up.

A run survives the process that works on it: its answers are kept one by one, and whoever takes it up goes on with
the questions that are left. It has models of its own, so that it neither opens nor closes the breakers of the turns.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import msgspec
import structlog
from prometheus_client import Counter
from redis.asyncio import Redis
from sqlalchemy.exc import IntegrityError

from packages.core import streams
from packages.core.db.base import now
from packages.core.db.session import DATABASE_ERRORS, Database
from packages.core.db.tables.evaluations import EvaluationItem, EvaluationResult, EvaluationRun
from packages.core.domain.tenants import BrandProfile
from packages.core.errors import InvalidInput, NotFound, Unavailable
from packages.rag.retrieval import SearchFilters
from services.orchestrator.brands import service as brands
from services.orchestrator.engine.llm.chain import Chain
from services.orchestrator.engine.llm.openai_compatible import OpenAICompatible
from services.orchestrator.engine.turn import LEASE_SHARE, Engine, HistoryMessage
from services.orchestrator.evaluations import drafts, figures, repository
from services.orchestrator.evaluations.judging import Expected, Given, cited_sources, judge
from services.orchestrator.evaluations.schemas import Draft
from services.orchestrator.settings import OrchestratorSettings

log = structlog.get_logger(__name__)
RUNS = Counter("parley_evaluation_runs_total", "Evaluation runs by how they ended", ["outcome"])
POLL_SECONDS = 2.0
LEASE_SECONDS = 180.0
MOST_ATTEMPTS = 4
AT_ONCE = 2
"""Questions asked at the same time: customers come first."""
ANNOUNCE_SECONDS = 0.5
PAUSE_SECONDS = 15.0
"""Before a run whose engine was away is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A run in hand, and what it asks with."""

    run: EvaluationRun
    token: UUID
    engine: Engine
    profile: BrandProfile
    filters: SearchFilters | None
    prices: dict[str, float] | None


class _Over(Exception):
    """The run was cancelled, deleted, or is another process's now."""


class EvaluationRunner:
    """Works runs off, one at a time.

    Args:
        poll_seconds: pause before it looks again where no run waits.
    """

    def __init__(
        self,
        database: Database,
        redis: Redis,
        engine: Engine,
        settings: OrchestratorSettings,
        *,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._database = database
        self._redis = redis
        self._engine = engine
        self._settings = settings
        self._poll = poll_seconds
        self._stopping = asyncio.Event()
        self._due = asyncio.Event()

    def wake(self) -> None:
        """Look for a run now."""
        self._due.set()

    def stop(self) -> None:
        """`run` returns soon; a run in hand is given back."""
        self._stopping.set()
        self._due.set()

    async def run(self) -> None:
        """Work runs off until `stop`."""
        while not self._stopping.is_set():
            try:
                found = await self.work_one()
            except DATABASE_ERRORS as error:
                log.warning("evaluation_postponed", error=str(error)[:200])
                found = False
            if not found:
                await self._sleep()

    async def work_one(self) -> bool:
        """Take up one run and finish it; False if none waits."""
        async with self._database.single_across_tenants() as on:
            row = await repository.claim(on, lease_seconds=LEASE_SECONDS)
        if row is None:
            return False
        try:
            if row.attempts > MOST_ATTEMPTS:
                await self._end(row, "failed", {"code": "gave_up", "message": "The run was tried several times."})
                return True
            async with self._holding(row) as held:
                await self._answer_all(held)
            await self._end(row, "given back" if self._stopping.is_set() else "done")
        except _Over:
            log.info("evaluation_over", run_id=str(row.id))
        except (InvalidInput, NotFound) as error:
            await self._end(row, "failed", {"code": error.code, "message": error.message})
        except Unavailable as error:
            log.warning("evaluation_unavailable", run_id=str(row.id), error=str(error))
            await self._give_back(row, PAUSE_SECONDS, forgive=False)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(row, 0, forgive=True))
            raise
        return True

    async def _sleep(self) -> None:
        try:
            await asyncio.wait_for(self._due.wait(), self._poll)
        except TimeoutError:
            return
        self._due.clear()

    @asynccontextmanager
    async def _holding(self, row: Any) -> AsyncIterator[_Held]:
        """The run with an engine of its own; its models are closed at the end."""
        async with self._database.tenant(row.tenant_id) as session:
            run = await repository.run_of(session, row.brand_id, row.set_id, row.id)
            live = await brands.profile(session, row.brand_id)
            present = await repository.source_ids(session, row.brand_id)
        draft = Draft.model_validate(run.draft)
        chosen = drafts.endpoints(draft, self._settings.llm.endpoints)
        models = [drafts.Metered(OpenAICompatible(endpoint, self._settings.llm)) for endpoint in chosen]
        chain = Chain(models, budget=LEASE_SHARE * self._settings.turn.lease_seconds)
        prices = run.state.get("prices")
        try:
            yield _Held(
                run=run,
                token=row.lease_token,
                engine=Engine(self._engine.knowledge, chain),
                profile=drafts.profile(draft, live),
                filters=drafts.filters(draft, present),
                prices=prices if isinstance(prices, dict) else None,
            )
        finally:
            await chain.close()

    async def _answer_all(self, held: _Held) -> None:
        announced = 0.0
        while not self._stopping.is_set():
            async with self._database.tenant(held.run.tenant_id) as session:
                items = await repository.open_items(session, held.run.id, held.run.set_id, AT_ONCE)
            if not items:
                return
            await self._keep(held, list(await asyncio.gather(*(self._answer(held, item) for item in items))))
            async with self._database.single_across_tenants() as on:
                state = await repository.beat(on, held.run.id, held.token, lease_seconds=LEASE_SECONDS)
            if state is None:
                raise _Over
            if time.monotonic() - announced >= ANNOUNCE_SECONDS:
                announced = time.monotonic()
                await self._announce(held.run, "running", state.done, state.total)

    async def _keep(self, held: _Held, results: list[EvaluationResult]) -> None:
        """Store results; those of a question that was deleted meanwhile go with it."""
        for result in results:
            try:
                async with self._database.tenant(held.run.tenant_id) as session:
                    session.add(result)
            except IntegrityError:
                log.info("evaluation_item_gone", item_id=str(result.item_id))

    async def _answer(self, held: _Held, item: EvaluationItem) -> EvaluationResult:
        counted = drafts.Usage()
        drafts.usage.set(counted)
        history = [HistoryMessage(author=author, text=text) for author, text in item.history]
        started = time.perf_counter()
        answer = await held.engine.answer(held.profile, item.question, history, filters=held.filters)
        took = (time.perf_counter() - started) * 1000
        citations = msgspec.json.decode(msgspec.json.encode([asdict(citation) for citation in answer.citations]))
        expected = Expected(answer=item.answer, source_ids=frozenset(item.source_ids), abstain=item.abstain)
        given = Given(text=answer.text, abstained=answer.abstained, cited=cited_sources(citations))
        judged = await judge(self._engine.knowledge.embedder, expected, given)
        return EvaluationResult(
            tenant_id=item.tenant_id,
            run_id=held.run.id,
            item_id=item.id,
            answer=answer.text,
            citations=citations,
            abstained=answer.abstained,
            confidence=answer.confidence,
            passed=judged.passed,
            checks=dict(judged.checks()),
            likeness=judged.likeness,
            latency_ms=round(took, 2),
            tokens_in=counted.tokens_in,
            tokens_out=counted.tokens_out,
            cost=_cost(counted, held.prices),
            drafted_by=answer.trace.get("drafted_by"),
        )

    async def _end(self, row: Any, outcome: str, error: dict[str, Any] | None = None) -> None:
        """Sum up and close the run, unless it is to be given back."""
        if outcome == "given back":
            await self._give_back(row, 0, forgive=True)
            return
        async with self._database.tenant(row.tenant_id) as session:
            run = await session.get(EvaluationRun, row.id, with_for_update=True)
            if run is None or run.status != "running" or run.lease_token != row.lease_token:
                return
            found = await repository.pairs(session, run.id)
            run.status, run.error, run.finished_at = outcome, error, now()
            run.metrics = figures.metrics(found) if outcome == "done" else {}
            run.done, run.lease_token, run.lease_until = len(found), None, None
        RUNS.labels(outcome).inc()
        log.info("evaluation_ended", run_id=str(run.id), outcome=outcome, items=run.done)
        await self._announce(run, outcome, run.done, run.total)

    async def _give_back(self, row: Any, delay: float, *, forgive: bool) -> None:
        async with self._database.single_across_tenants() as on:
            await repository.give_back(on, row.id, row.lease_token, delay=delay, forgive=forgive)

    async def _announce(self, run: EvaluationRun, status: str, done: int, total: int) -> None:
        data = {"brand_id": str(run.brand_id), "set_id": str(run.set_id), "run_id": str(run.id)}
        event = {"type": "evaluation.progress", "data": data | {"status": status, "done": done, "total": total}}
        await streams.announce(self._redis, streams.live_channel(str(run.tenant_id)), event)


def _cost(counted: drafts.Usage, prices: dict[str, float] | None) -> float | None:
    if prices is None:
        return None
    spent = counted.tokens_in * prices["input_per_million"] + counted.tokens_out * prices["output_per_million"]
    return spent / 1_000_000
