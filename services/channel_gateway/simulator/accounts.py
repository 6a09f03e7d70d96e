"""The channel configs of every brand, as the platforms know them: accounts with secrets and tokens."""

import asyncio
import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from packages.core.crypto import SecretBox, UndecryptableSecret
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.channels import Channel
from packages.core.errors import NotFound, Unavailable

log = structlog.get_logger(__name__)
LookUp = Callable[[], Channel | None]

_FRESH_FOR = 5.0


class Accounts:
    """All accounts in memory, read anew every few seconds and when one is missing; stale while the database is away."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box
        self._lock = asyncio.Lock()
        self._read_at = 0.0
        self._sealed: dict[str, bytes] = {}
        self._accounts: dict[str, Channel] = {}
        self._by_account_id: dict[tuple[str, str], Channel] = {}

    async def get(self, channel: str, channel_config_id: str) -> Channel:
        """The account of a channel config.

        Raises:
            NotFound: there is none of this channel, or it is disabled.
            Unavailable: the database is away and nothing is known yet.
        """
        account = await self._found(lambda: self._accounts.get(channel_config_id))
        if account is None or account.kind != channel or account.status == "disabled":
            raise NotFound(f"There is no {channel} channel {channel_config_id}; create it with POST …/channels.")
        return account

    async def by_account_id(self, channel: str, account_id: str) -> Channel | None:
        """The account whose platform id this is."""
        return await self._found(lambda: self._by_account_id.get((channel, account_id)))

    async def matching(self, fits: Callable[[Channel], bool]) -> Channel | None:
        """The first account that fits, such as the one that a token belongs to."""
        return await self._found(lambda: next((item for item in self._accounts.values() if fits(item)), None))

    async def all(self) -> list[Channel]:
        """Every account, by name."""
        await self._refresh(_FRESH_FOR)
        return sorted(self._accounts.values(), key=lambda account: (account.kind, account.name))

    async def _found(self, look: LookUp) -> Channel | None:
        await self._refresh(_FRESH_FOR)
        found = look()
        if found is None:
            await self._refresh(0)
            found = look()
        return found

    async def _refresh(self, older_than: float) -> None:
        """Read them unless a reading that began less than `older_than` seconds ago has ended."""
        good_since = time.monotonic() - older_than
        if self._read_at > good_since:
            return
        async with self._lock:
            if self._read_at > good_since:
                return
            began = time.monotonic()
            try:
                async with asyncio.timeout(5), self._database.across_tenants() as session:
                    rows = (await session.execute(select(ChannelConfig))).scalars().all()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                if not self._read_at:
                    raise Unavailable("The database with the channel configs is away.") from error
                log.warning("accounts_stale", reason=type(error).__name__)
            else:
                self._take(list(rows))
            self._read_at = began

    def _take(self, rows: list[ChannelConfig]) -> None:
        accounts = {str(row.id): self._account(row) for row in rows}
        self._accounts = {id_: account for id_, account in accounts.items() if account is not None}
        self._sealed = {str(row.id): row.credentials for row in rows}
        self._by_account_id = {
            (account.kind, account.account_id): account
            for account in self._accounts.values()
            if account.account_id is not None
        }

    def _account(self, row: ChannelConfig) -> Channel | None:
        """Decrypting costs the most, so credentials that have not changed are kept."""
        known = self._accounts.get(str(row.id))
        try:
            unchanged = known is not None and self._sealed.get(str(row.id)) == row.credentials
            credentials = known.credentials if known and unchanged else self._box.open(row.credentials)
        except UndecryptableSecret as error:
            log.warning("account_unreadable", channel_config_id=str(row.id), reason=str(error))
            return None
        return Channel(
            id=str(row.id),
            tenant_id=str(row.tenant_id),
            brand_id=str(row.brand_id),
            kind=row.channel,
            name=row.name,
            account_id=row.account_id,
            credentials=credentials,
            settings=dict(row.settings),
            status=row.status,
        )
