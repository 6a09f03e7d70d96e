"""All channel configs in memory, credentials in clear, so that a webhook never waits for PostgreSQL.

Fresh by three ways: at once through Pub/Sub, at a miss by one query, and every half minute by reading them all. While
PostgreSQL is away what is known keeps being served.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import msgspec
import structlog
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from packages.core.crypto import SecretBox, UndecryptableSecret
from packages.core.db.repositories.channels import (
    all_channel_configs,
    channel_config_by_account,
    channel_config_by_id,
)
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.channels import Channel as Account
from packages.core.errors import Unavailable
from packages.core.streams import CHANNELS_CHANGED
from services.channel_gateway.channels import Channel

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 30.0
MISS_SECONDS = 2.0
MISSES_PER_SECOND = 20
QUERY_SECONDS = 3.0
_MAX_MISSES = 10_000
_DATABASE_AWAY = (SQLAlchemyError, OSError, TimeoutError)


Key = str | tuple[str, str]
"""A channel config id, or a channel and a platform's account id."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A row as it was read, to tell whether it has changed; `account` is None where it is not served."""

    channel: str
    credentials: bytes
    settings: Mapping[str, object]
    state: tuple[str | None, ...]
    account: Account | None


class Directory:
    """Channel configs by id, and by channel and platform account.

    Args:
        base_url: the gateway's public address, where the platforms' webhooks arrive.
    """

    def __init__(
        self, database: Database, redis: Redis, channels: Mapping[str, Channel], secret: str, base_url: str = ""
    ) -> None:
        self._database = database
        self._redis = redis
        self._channels = channels
        self._box = SecretBox(secret)
        self._base_url = base_url
        self._known: dict[str, _Known] = {}
        self._by_id: dict[str, Account] = {}
        self._by_account: dict[tuple[str, str], Account] = {}
        self._missed: dict[Key, float] = {}
        self._asking: dict[Key, asyncio.Future[None]] = {}
        self._allowance = float(MISSES_PER_SECOND)
        self._allowed_at = time.monotonic()
        self.loaded = False

    def by_id(self, config_id: str) -> Account | None:
        """An active channel config, from memory alone."""
        return self._by_id.get(config_id)

    def by_account(self, channel: str, account_id: str) -> Account | None:
        """The active channel config of a platform account, from memory alone."""
        return self._by_account.get((channel, account_id))

    def active(self) -> Sequence[Account]:
        """Every active channel config, oldest first."""
        return sorted(self._by_id.values(), key=lambda account: account.id)

    async def find(self, config_id: str) -> Account | None:
        """An active channel config; asks PostgreSQL where memory has none, within limits.

        Raises:
            Unavailable: PostgreSQL would have to say, and is away or asked too much already.
        """
        found = self._by_id.get(config_id)
        if found is not None or config_id in self._known:
            return found
        with suppress(ValueError):
            key = UUID(config_id)
            if str(key) == config_id:
                await self._ask_once(config_id, key)
        return self._by_id.get(config_id)

    async def reread(self, config_id: UUID) -> Account | None:
        """An active channel config as PostgreSQL has it now.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                await self._read_one(config_id)
        except _DATABASE_AWAY as error:
            raise Unavailable("Channel configs cannot be read just now; try again.") from error
        return self._by_id.get(str(config_id))

    async def find_account(self, channel: str, account_id: str) -> Account | None:
        """The active channel config of a platform account; asks PostgreSQL where memory has none, within limits.

        Raises:
            Unavailable: PostgreSQL would have to say, and is away or asked too much already.
        """
        key = (channel, account_id)
        found = self._by_account.get(key)
        if found is None and "\x00" not in account_id:
            await self._ask_once(key, None)
        return self._by_account.get(key)

    async def refresh(self) -> None:
        """Read all channel configs.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, OSError: PostgreSQL is away; what was known stays.
        """
        async with asyncio.timeout(30), self._database.across_tenants() as session:
            rows = await all_channel_configs(session)
        for row in rows:
            self._put(row)
            await asyncio.sleep(0)  # decrypting thousands of rows must not hold up webhooks
        for config_id in self._known.keys() - {str(row.id) for row in rows}:
            self._forget(config_id)
        self._missed.clear()
        self.loaded = True

    async def run(self) -> None:
        """Keep fresh until cancelled."""
        await asyncio.gather(self._refresh_for_ever(), self._listen_for_ever())

    async def _refresh_for_ever(self) -> None:
        while True:
            try:
                await self.refresh()
            except _DATABASE_AWAY as error:
                log.warning("directory_stale", error=str(error)[:300] or type(error).__name__)
                await asyncio.sleep(2.0)
                continue
            await asyncio.sleep(REFRESH_SECONDS)

    async def _listen_for_ever(self) -> None:
        pause = 0.1
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(CHANNELS_CHANGED)
                    pause = 0.1
                    while True:
                        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5.0)
                        if message:
                            await self._changed(message["data"])
            except (RedisError, OSError) as error:
                log.warning("directory_not_listening", error=str(error), retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    async def _changed(self, payload: bytes) -> None:
        try:
            config_id = UUID(str(msgspec.json.decode(payload)))
        except (msgspec.DecodeError, ValueError):
            log.warning("directory_announcement_unreadable")
            return
        try:
            await self._read_one(config_id)
        except _DATABASE_AWAY as error:
            log.warning("directory_stale", error=str(error)[:300] or type(error).__name__)

    async def _ask_once(self, key: Key, config_id: UUID | None) -> None:
        """Let PostgreSQL say, unless it has just said no. Whoever asks meanwhile waits for the same answer.

        Few questions a second are allowed in all, so that guessing ids is cheap for us; beyond that nobody knows, and
        a platform that is told so delivers again.
        """
        if asking := self._asking.get(key):
            await asyncio.shield(asking)
            return
        now = time.monotonic()
        if self._missed.get(key, 0.0) > now:
            return
        self._allowance = min(MISSES_PER_SECOND, self._allowance + (now - self._allowed_at) * MISSES_PER_SECOND)
        self._allowed_at = now
        if self._allowance < 1:
            raise Unavailable("Too many unknown channel configs are asked for; try again.")
        self._allowance -= 1
        if len(self._missed) >= _MAX_MISSES:
            self._missed.clear()
        self._asking[key] = asyncio.ensure_future(self._ask(key, config_id))
        try:
            await asyncio.shield(self._asking[key])
            if key not in self._by_id and key not in self._by_account:
                self._missed[key] = now + MISS_SECONDS
        finally:
            self._asking.pop(key, None)

    async def _ask(self, key: Key, config_id: UUID | None) -> None:
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                if config_id is not None:
                    await self._read_one(config_id)
                elif isinstance(key, tuple):
                    async with self._database.across_tenants() as session:
                        row = await channel_config_by_account(session, *key)
                    if row:
                        self._put(row)
        except _DATABASE_AWAY as error:
            log.warning("directory_miss_unanswered", error=str(error)[:300] or type(error).__name__)
            raise Unavailable("Channel configs cannot be read just now; try again.") from error

    async def _read_one(self, config_id: UUID) -> None:
        async with self._database.across_tenants() as session:
            row = await channel_config_by_id(session, config_id)
        if row:
            self._put(row)
        else:
            self._forget(str(config_id))

    def _put(self, row: ChannelConfig) -> None:
        config_id = str(row.id)
        known = self._known.get(config_id)
        state = (row.status, row.status_reason, row.name, row.account_id)
        if known and (known.credentials, known.settings, known.state) == (row.credentials, row.settings, state):
            return
        self._forget(config_id)
        account = self._opened(row) if row.status != "disabled" else None
        self._known[config_id] = _Known(row.channel, row.credentials, row.settings, state, account)
        self._missed.pop(config_id, None)
        if account:
            self._by_id[config_id] = account
            if account.account_id:
                self._by_account[(account.kind, account.account_id)] = account

    def _forget(self, config_id: str) -> None:
        self._known.pop(config_id, None)
        account = self._by_id.pop(config_id, None)
        if account and account.account_id:
            key = (account.kind, account.account_id)
            if self._by_account.get(key) is account:  # it may have moved to another config meanwhile
                del self._by_account[key]

    def _opened(self, row: ChannelConfig) -> Account | None:
        channel = self._channels.get(row.channel)
        if channel is None:
            log.error("channel_not_installed", channel_config_id=str(row.id), channel=row.channel)
            return None
        try:
            credentials = channel.Credentials.model_validate(self._box.open(row.credentials))
        except (UndecryptableSecret, ValidationError) as error:
            # A validation error repeats what it refuses, so only its place is logged.
            fields = (
                [".".join(map(str, item["loc"])) for item in error.errors()]
                if isinstance(error, ValidationError)
                else []
            )
            log.error("channel_unusable", channel_config_id=str(row.id), problem=type(error).__name__, fields=fields)
            return None
        return Account(
            id=str(row.id),
            tenant_id=str(row.tenant_id),
            brand_id=str(row.brand_id),
            kind=row.channel,
            name=row.name,
            account_id=row.account_id or channel.account_id(credentials),
            credentials=credentials,
            settings=dict(row.settings),
            status=row.status,
            status_reason=row.status_reason,
            webhook_url=f"{self._base_url}/webhooks/{row.channel}/{row.id}",
        )
