"""Tells a brand's own system of each ticket: signed, at least once, again after growing pauses while it is away."""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
import structlog

from packages.core.crypto import SecretBox, UndecryptableSecret
from packages.core.db.direct import Statement
from packages.core.db.session import DATABASE_ERRORS, Database
from services.orchestrator.outside import IDEMPOTENCY, SIGNING_SECRET, Call, Outside, OutsideFailed, checked_url

log = structlog.get_logger(__name__)
POLL_SECONDS = 2.0
BATCH = 20
LEASE_SECONDS = 30.0
SECONDS = 8.0
PAUSES = (5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600)
"""Seconds before each further attempt; after the last the ticket shows that its webhook failed."""

_CLAIM = Statement("""
WITH due AS (
    SELECT id FROM ticket WHERE hook_state = 'pending' AND hook_due_at <= now()
    ORDER BY hook_due_at LIMIT :batch FOR UPDATE SKIP LOCKED
)
UPDATE ticket t SET hook_attempts = hook_attempts + 1, hook_due_at = now() + make_interval(secs => :lease)
FROM due LEFT JOIN LATERAL (
    SELECT a.settings, a.secrets FROM action_config a JOIN ticket k ON k.config_id = a.id WHERE k.id = due.id
) config ON true
WHERE t.id = due.id
RETURNING t.id, t.tenant_id, t.hook_attempts AS attempts, config.settings::text AS settings, config.secrets,
    json_build_object('id', t.id, 'number', t.number, 'brand_id', t.brand_id, 'conversation_id', t.conversation_id,
        'customer_id', t.customer_id, 'kind', t.kind, 'subject', t.subject, 'body', t.body, 'category', t.category,
        'priority', t.priority, 'status', t.status, 'contact', t.contact, 'due_at', t.due_at,
        'created_at', t.created_at)::text AS ticket
""")
_ANY_DUE = Statement("SELECT EXISTS (SELECT FROM ticket WHERE hook_state = 'pending' AND hook_due_at <= now()) AS due")
_DELIVERED = Statement("UPDATE ticket SET hook_state = 'delivered', hook_error = NULL WHERE id = :id")
_AGAIN = Statement("""
UPDATE ticket SET hook_state = :state, hook_error = :error, hook_due_at = now() + make_interval(secs => :pause)
WHERE id = :id
""")


class TicketWebhooks:
    """The loop that tells. Any number of processes may run it."""

    def __init__(self, database: Database, box: SecretBox, outside: Outside) -> None:
        self._database = database
        self._box = box
        self._outside = outside
        self._stirred = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Deliver until `stop`."""
        while not self._stopping:
            self._stirred.clear()
            try:
                if await self.deliver_due() == BATCH:
                    continue
            except DATABASE_ERRORS as error:
                log.warning("ticket_webhooks_postponed", error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stirred.wait(), POLL_SECONDS)

    def stop(self) -> None:
        """Begin no more; `run` returns soon."""
        self._stopping = True
        self._stirred.set()

    async def deliver_due(self) -> int:
        """Tell of all tickets that are due now, at most `BATCH`; returns how many there were."""
        async with self._database.single_across_tenants() as connection:
            if not (await _ANY_DUE.fetch(connection))[0].due:
                return 0
            rows = await _CLAIM.fetch(connection, batch=BATCH, lease=LEASE_SECONDS)
        await asyncio.gather(*(self._deliver(row) for row in rows))
        return len(rows)

    async def _deliver(self, row: Any) -> None:
        error, may_pass = await self._told(row)
        async with self._database.single_across_tenants() as connection:
            if error is None:
                await _DELIVERED.fetch(connection, id=row.id)
                return
            is_last = not may_pass or row.attempts > len(PAUSES)
            state, pause = ("failed", 0) if is_last else ("pending", PAUSES[row.attempts - 1])
            await _AGAIN.fetch(connection, id=row.id, state=state, error=error[:300], pause=pause)
        log.warning("ticket_webhook_failed", ticket_id=str(row.id), attempts=row.attempts, final=is_last)

    async def _told(self, row: Any) -> tuple[str | None, bool]:
        """What went wrong, and whether it may pass; None where the brand's system took it."""
        url = (msgspec.json.decode(row.settings) if row.settings else {}).get("webhook_url")
        if not url:
            return "The webhook was removed.", False
        try:
            secret = str(self._box.open(row.secrets).get(SIGNING_SECRET, "")) if row.secrets else ""
            answered = await self._outside.send(_call(url, secret, row.id, row.ticket))
        except UndecryptableSecret:
            return "The secret that signs webhooks cannot be read.", False
        except OutsideFailed as failure:
            return failure.message, failure.reason not in {"forbidden_address", "bad_url"}
        if 200 <= answered.status < 300:
            return None, False
        return f"The webhook answered with status {answered.status}.", answered.status not in {400, 404, 410}


def _call(url: str, secret: str, ticket_id: UUID, ticket: str) -> Call:
    body = {"type": "ticket.created", "data": msgspec.json.decode(ticket)}
    headers = {IDEMPOTENCY: str(ticket_id)}
    return Call(method="POST", url=url, headers=headers, body=body, secret=secret, seconds=SECONDS, max_bytes=64 * 1024)


def usable_url(url: str | None) -> str | None:
    """For settings: the address, if it can be one.

    Raises:
        ValueError: it cannot.
    """
    try:
        return checked_url(url) if url else None
    except OutsideFailed as failure:
        raise ValueError(failure.message) from failure
