"""Runs what a model asks for, if the brand's settings and the customer's identity allow it, and never twice.

For each request: is it offered, do the arguments fit, may this customer, must a person allow it, was it done already;
then one record that is committed before the call and settled after it.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from packages.core import tracing
from packages.core.crypto import SecretBox
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.domain.tenants import BrandProfile
from packages.rag.retrieval import Knowledge
from services.orchestrator.acting import arguments, calls, metrics, results
from services.orchestrator.acting.calls import Known, NewCall
from services.orchestrator.acting.configs import MOST_TOOLS, Configs, Configured
from services.orchestrator.acting.requests import Asked
from services.orchestrator.acting.results import Ran
from services.orchestrator.actions import (
    Action,
    ActionFailed,
    ActionResult,
    Context,
    Customer,
    Identity,
    Risk,
    Tool,
)
from services.orchestrator.outside import Outside, OutsideFailed

log = structlog.get_logger(__name__)
LEASE_MARGIN = 2.0
POLL_SECONDS = 0.1
MOST_ATTEMPTS = 2
FAILURES_IN_ROW = 5
COOL_DOWN = 30.0
_DOWN = frozenset({"unreachable", "timeout", "server_error", "broken"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """The turn that asks.

    Args:
        key: the same for every attempt at answering the same messages: the id of the first open one.
        said: the customer's own words in this conversation, which identifiers must come from; None for rules.
        is_suspect: the turn shows signs of an attack: then only what merely reads happens without a person.
        seconds: time that the turn has left for actions.
    """

    tenant_id: UUID
    brand: BrandProfile
    conversation_id: UUID | None
    key: str = field(default_factory=lambda: new_id().hex)
    said: str | None = ""
    language: str = "en"
    is_suspect: bool = False
    requested_by: str = "model"
    seconds: float = 10.0


class Actions:
    """One per process; safe to share between tasks.

    Args:
        registry: the installed actions by kind.
        knowledge: what the FAQ action searches.
    """

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        outside: Outside,
        registry: Mapping[str, Action],
        knowledge: Knowledge | None = None,
    ) -> None:
        self.configs = Configs(database, box, registry)
        self.registry = registry
        self.outside = outside
        self._database = database
        self._knowledge = knowledge
        self._health: dict[UUID, tuple[int, float]] = {}

    async def offered(self, brand: BrandProfile) -> list[Tool]:
        """The tools that the model may ask for; empty for most brands, and then nothing else costs anything."""
        configured = await self.configs.of_brand(UUID(brand.tenant_id), UUID(brand.id))
        tools = {tool.name: tool for one in configured for tool in one.tools}
        return list(tools.values())[:MOST_TOOLS]

    async def run(self, asked: Sequence[Asked], context: TurnContext, step: int = 0) -> list[Ran]:
        """What became of each request, in order. Reads run side by side, everything else one after the other.

        Never raises for what an action or its endpoint does; the database's errors are the turn's.
        """
        if not asked:
            return []
        configured = await self.configs.of_brand(context.tenant_id, UUID(context.brand.id))
        by_name = {tool.name: (one, tool) for one in reversed(configured) for tool in one.tools}
        customer = Customer()
        if context.conversation_id is not None:
            async with self._database.direct(context.tenant_id) as transaction:
                customer = await calls.customer(transaction, context.conversation_id)
        jobs = [self._one(one, by_name.get(one.name), customer, context, step) for one in asked]
        if all(one.name in by_name and by_name[one.name][1].risk is Risk.READ for one in asked):
            return list(await asyncio.gather(*jobs))
        return [await job for job in jobs]

    async def _one(
        self,
        asked: Asked,
        found: tuple[Configured, Tool] | None,
        customer: Customer,
        context: TurnContext,
        step: int,
    ) -> Ran:
        if asked.problem or found is None:
            return _refused(asked, "unknown_action", asked.problem or f"There is no action {asked.name!r}.")
        configured, tool = found
        checked = arguments.checked(asked.arguments, tool.parameters, context.said)
        if checked.problems:
            return _refused(asked, "invalid_arguments", "; ".join(checked.problems[:5]))
        if tool.identity is Identity.VERIFIED and not customer.is_verified:
            return _refused(asked, "identity_needed", "This is only for customers whose identity was verified.")
        if checked.repairs:
            metrics.REPAIRS.labels(configured.kind).inc()
        # Without a conversation there is nobody to do something for: a test of an answer has no effects.
        is_dry = configured.is_dry or (context.conversation_id is None and tool.risk is not Risk.READ)
        waits = not is_dry and (configured.needs_approval(tool) or (context.is_suspect and tool.risk is not Risk.READ))
        call = NewCall(
            tenant_id=context.tenant_id,
            brand_id=UUID(context.brand.id),
            config_id=configured.id,
            conversation_id=context.conversation_id,
            action=configured.kind,
            name=tool.name,
            key=_key(context, tool, checked.arguments, is_dry=is_dry),
            step=step,
            requested_by=context.requested_by,
            dry_run=is_dry,
            arguments=checked.arguments,
            repairs=checked.repairs[:20],
            waits=waits,
            lease_seconds=self._seconds(configured, context) + LEASE_MARGIN,
            trace_id=tracing.trace_id(),
        )
        return await self._once(asked, call, configured, tool, customer, context)

    async def _once(
        self,
        asked: Asked,
        call: NewCall,
        configured: Configured,
        tool: Tool,
        customer: Customer,
        context: TurnContext,
    ) -> Ran:
        """Open the record and run; or, where it is there already, give what came of that call."""
        async with self._database.direct(call.tenant_id) as transaction:
            known = await calls.opened(transaction, call)
        if not known.is_new:
            known = await self._awaited(known, call, configured.action.is_repeatable or tool.risk is Risk.READ)
        if known.status != "running":
            return _recalled(asked, known)
        return await self.execute(
            known.id,
            call.arguments,
            self.context(configured, tool, customer, context, known.id),
            configured,
            is_dry=call.dry_run,
            model_call_id=asked.call_id,
        )

    async def _awaited(self, known: Known, call: NewCall, is_repeatable: bool) -> Known:
        """A call on record, once it is settled, or ours to run again (status running)."""
        deadline = time.monotonic() + call.lease_seconds
        while known.status == "running" and not known.is_stale and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            async with self._database.direct(call.tenant_id) as transaction:
                known = await calls.known(transaction, call.key)
        was_certain = bool((known.error or {}).get("is_certain"))
        again = (known.status == "running" and is_repeatable) or (known.status == "failed" and was_certain)
        async with self._database.direct(call.tenant_id) as transaction:
            if (
                again
                and known.attempts < MOST_ATTEMPTS
                and await calls.taken_over(transaction, known, call.lease_seconds)
            ):
                return Known(id=known.id, status="running", attempts=known.attempts + 1)
            if known.status == "running":
                error = {"code": "in_doubt", "message": "Nobody knows whether this was done; a person has to look."}
                await calls.settle(transaction, known.id, "in_doubt", error=error)
                return await calls.known(transaction, call.key)
        return known

    async def execute(
        self,
        call_id: UUID,
        given: dict[str, object],
        context: Context,
        configured: Configured,
        *,
        is_dry: bool,
        model_call_id: str = "",
    ) -> Ran:
        """Run a call whose record is open, and settle that. What the endpoint does wrong ends in the result."""
        started = time.perf_counter()
        error: dict[str, object] | None = None
        with tracing.span("action", action=configured.kind, tool=context.tool.name):
            try:
                self._refuse_while_down(configured.id)
                doing = configured.action.rehearse if is_dry else configured.action.run
                async with asyncio.timeout(context.seconds):
                    result = await doing(given, context)
                data = results.cleaned(result.data | ({"dry_run": True} if is_dry else {}))
                result = ActionResult(name=context.tool.name, ok=result.ok, data=data, error=result.error)
                status = "done" if result.ok else "failed"
                if not result.ok:
                    error = {"code": "refused", "message": (result.error or "")[:300], "is_certain": False}
            except (ActionFailed, OutsideFailed, TimeoutError) as failure:
                status, error = _failure(failure, context.tool)
                result = ActionResult(name=context.tool.name, ok=False, error=f"{error['code']}: {error['message']}")
            self._note_health(configured.id, error)
        ms = (time.perf_counter() - started) * 1000
        async with self._database.direct(context.tenant_id) as transaction:
            await calls.settle(transaction, call_id, status, result=result.data, error=error, ms=ms)
        metrics.CALLS.labels(configured.kind, status).inc()
        metrics.SECONDS.labels(configured.kind).observe(ms / 1000)
        log.info("action_called", action=configured.kind, status=status, call_id=str(call_id), ms=round(ms, 1))
        return Ran(result=result, status=status, record_id=call_id, model_call_id=model_call_id, ms=ms)

    def context(
        self, configured: Configured, tool: Tool, customer: Customer, context: TurnContext, call_id: UUID
    ) -> Context:
        """What one call has at hand."""
        return Context(
            tenant_id=context.tenant_id,
            brand=context.brand,
            call_id=call_id,
            config_id=configured.id,
            tool=tool,
            settings=configured.settings,
            database=self._database,
            outside=self.outside,
            knowledge=self._knowledge,
            conversation_id=context.conversation_id,
            customer=customer,
            language=context.language,
            secret=configured.secret,
            seconds=self._seconds(configured, context),
        )

    def _seconds(self, configured: Configured, context: TurnContext) -> float:
        own = getattr(configured.settings, "timeout_seconds", configured.action.seconds)
        return max(0.1, min(float(own), context.seconds))

    def _refuse_while_down(self, config_id: UUID) -> None:
        """Spare an endpoint that failed several times in a row, and the customer the wait for it."""
        failures, since = self._health.get(config_id, (0, 0.0))
        if failures >= FAILURES_IN_ROW and time.monotonic() - since < COOL_DOWN:
            raise ActionFailed("circuit_open", "This is not available just now; it failed several times in a row.")

    def _note_health(self, config_id: UUID, error: Mapping[str, object] | None) -> None:
        if error is None:
            self._health.pop(config_id, None)
        elif error["code"] in _DOWN:
            self._health[config_id] = (self._health.get(config_id, (0, 0.0))[0] + 1, time.monotonic())


def _key(context: TurnContext, tool: Tool, given: Mapping[str, object], *, is_dry: bool) -> str:
    """What makes repeats one call: a read by its arguments, anything else by the turn and the tool alone.

    A turn that is decided anew words its arguments anew; what it did must still not happen twice.
    """
    if tool.risk is Risk.READ:
        told_apart = hashlib.sha256(calls.json_text(sorted(given.items())).encode()).hexdigest()[:16]
    else:
        told_apart = "once"
    return f"{'dry:' if is_dry else ''}{context.key}:{tool.name}:{told_apart}"[-200:]


def _refused(asked: Asked, code: str, message: str) -> Ran:
    log.info("action_refused", action=asked.name[:64], code=code)
    metrics.CALLS.labels("none", code).inc()
    result = ActionResult(name=asked.name[:64] or "?", ok=False, error=f"{code}: {message}")
    return Ran(result=result, status="refused", model_call_id=asked.call_id)


def _recalled(asked: Asked, known: Known) -> Ran:
    """The result of a call that was on record, or what it waits for."""
    error = known.error or {}
    words = {
        "waiting": "waiting_for_approval: A person has to allow this first; they were asked.",
        "denied": "denied: A person did not allow this.",
        "expired": "expired: Nobody allowed this in time.",
    }
    message = words.get(known.status) or (f"{error.get('code')}: {error.get('message')}" if error else None)
    ok = known.status == "done"
    result = ActionResult(name=asked.name, ok=ok, data=known.result or {}, error=None if ok else message)
    repeated = not known.is_new
    return Ran(result=result, status=known.status, record_id=known.id, model_call_id=asked.call_id, repeated=repeated)


def _failure(failure: Exception, tool: Tool) -> tuple[str, dict[str, object]]:
    """Status and record of a failure. What may have happened there is in doubt, unless it can do no harm again."""
    if isinstance(failure, ActionFailed):
        code, message, is_certain = failure.code, failure.message, failure.is_certain
    elif isinstance(failure, OutsideFailed):
        code, message, is_certain = failure.reason, failure.message, failure.is_certain
    else:
        code, message, is_certain = "timeout", "It took too long.", False
    harmless = tool.risk is Risk.READ or is_certain
    return ("failed" if harmless else "in_doubt"), {"code": code, "message": message[:300], "is_certain": harmless}
