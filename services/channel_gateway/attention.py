"""Accounts that are out of order until somebody acts: an invalid token, a missing permission, an unpaid bill.

Their messages fail at once with the reason, but for one at a time that tries all the same, so that an account that
works again is found out without anybody saying so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from prometheus_client import Counter
from redis.asyncio import Redis

from packages.core import streams
from packages.core.db.repositories.channels import set_attention
from packages.core.db.session import DATABASE_ERRORS, Database
from packages.core.domain.channels import Channel as Account

log = structlog.get_logger(__name__)

DOWN = Counter("parley_accounts_down_total", "Accounts that a platform refused for good", ["channel"])
NEEDS_ATTENTION = "needs_attention"
_UNKNOWN = "The platform refuses this account."


class Attention:
    """Which accounts are out of order, as the directory knows it and as this process has just learnt."""

    def __init__(self, database: Database, redis: "Redis") -> None:
        self._database = database
        self._redis = redis
        self._learnt: dict[str, tuple[Account, str | None]] = {}
        self._probing: set[str] = set()

    def is_well(self, account: Account) -> bool:
        """Whether nothing is known against the account."""
        return self._reason(account) is None

    @contextmanager
    def gate(self, account: Account) -> Iterator[str | None]:
        """The reason why a message must fail at once; None where it may be sent, if only to find out."""
        reason = self._reason(account)
        if reason is None:
            yield None
        elif account.id in self._probing:
            yield reason
        else:
            self._probing.add(account.id)
            try:
                yield None
            finally:
                self._probing.discard(account.id)

    async def down(self, account: Account, reason: str) -> None:
        """The platform says that the account is out of order."""
        if self._reason(account) != reason:
            DOWN.labels(account.kind).inc()
            log.error("account_needs_attention", channel_config_id=account.id, channel=account.kind, reason=reason)
            await self._note(account, reason)

    async def works(self, account: Account) -> None:
        """A message was taken."""
        if self._reason(account) is not None:
            log.info("account_works_again", channel_config_id=account.id, channel=account.kind)
            await self._note(account, None)

    def _reason(self, account: Account) -> str | None:
        """What was learnt here counts until the directory has a newer state of the account."""
        learnt = self._learnt.get(account.id)
        if learnt and learnt[0] is account:
            return learnt[1]
        return (account.status_reason or _UNKNOWN) if account.status == NEEDS_ATTENTION else None

    async def _note(self, account: Account, reason: str | None) -> None:
        self._learnt[account.id] = (account, reason)
        try:
            async with self._database.single_across_tenants() as connection:
                is_news = await set_attention(connection, UUID(account.id), reason)
        except DATABASE_ERRORS as error:
            log.warning("attention_not_noted", channel_config_id=account.id, error=str(error)[:200])
            del self._learnt[account.id]  # the next message says so again
            return
        if is_news:
            data = {"id": account.id, "status": NEEDS_ATTENTION if reason else "active", "status_reason": reason}
            live = (streams.live_channel(account.tenant_id), {"type": "channel.updated", "data": data})
            await streams.announce_all(self._redis, [(streams.CHANNELS_CHANGED, account.id), live])
