"""Fetches customers' files from the platforms into the object store, in the background.

PostgreSQL says what is to be fetched (`packages.core.db.repositories.media`), so several processes share the work and
a killed one loses nothing. What goes wrong ends on the file's row, in words for agents. Addresses and errors of
platforms may hold tokens: neither is logged or stored as it came.
"""

import asyncio
import errno
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import structlog
from arq.connections import ArqRedis
from prometheus_client import Counter, Histogram
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError

from packages.core import jobs, streams
from packages.core.config import MediaSettings
from packages.core.db.repositories import media
from packages.core.db.repositories.media import Claimed, Kept
from packages.core.db.session import DATABASE_ERRORS, Database
from packages.core.domain.channels import Channel as Account
from packages.core.domain.files import safe_name
from packages.core.domain.messages import Attachment
from packages.core.errors import Unavailable
from packages.core.logging import bound
from packages.core.storage import ObjectStore
from services.channel_gateway.channels import Channel, FileUnavailable
from services.channel_gateway.directory import Directory
from services.channel_gateway.spool import Spool

log = structlog.get_logger(__name__)

FILES = Counter("parley_media_total", "Customers' files and how fetching them ended", ["channel", "outcome"])
SECONDS = Histogram(
    "parley_media_seconds", "Time to fetch and keep one file", buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
)

POLL_SECONDS = 2.0
SWEEP_SECONDS = 60.0
FULL_SWEEP_SECONDS = 3600.0
_RECENT_DAYS = 3.0
_LEASE_MARGIN_SECONDS = 30.0
_LONGEST_PAUSE = 900.0
_STOP_SECONDS = 10.0
_READABLE = ("image/", "text/", "application/pdf", "application/vnd.", "application/msword", "application/rtf")


class Downloader:
    """One process's share of the fetching.

    Args:
        http: the guarded way out; it refuses private addresses at every hop.
        debounce_seconds: how long a conversation stays quiet before it is answered.
    """

    def __init__(
        self,
        database: Database,
        redis: Redis,
        queue: ArqRedis,
        store: ObjectStore,
        directory: Directory,
        channels: Mapping[str, Channel],
        http: aiohttp.ClientSession,
        settings: MediaSettings,
        *,
        debounce_seconds: float = 1.2,
    ) -> None:
        self._database = database
        self._redis = redis
        self._queue = queue
        self._store = store
        self._directory = directory
        self._channels = channels
        self._http = http
        self._settings = settings
        self._debounce_seconds = debounce_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._stirred = asyncio.Event()
        self._stopped = False
        self._swept = self._fully_swept = time.monotonic()

    async def run(self) -> None:
        """Fetch until `stop`; returns when the files in hand are settled."""
        listener = asyncio.create_task(self._listen_for_ever())
        try:
            while not self._stopped:
                self._stirred.clear()
                try:
                    await self._claim()
                    await self._sweep_sometimes()
                except (*DATABASE_ERRORS, Unavailable) as error:
                    log.warning("media_postponed", error=type(error).__name__)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stirred.wait(), POLL_SECONDS)
        finally:
            listener.cancel()
            if self._tasks:
                _, late = await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
                for task in late:  # their claims run out, and another process takes them over
                    task.cancel()

    async def stop(self) -> None:
        """Begin no more files; `run` returns soon."""
        self._stopped = True
        self._stirred.set()

    async def _claim(self) -> None:
        free = self._settings.concurrency - len(self._tasks)
        if free <= 0:
            return
        lease = self._settings.timeout_seconds + _LEASE_MARGIN_SECONDS
        async with self._database.single_across_tenants() as connection:
            claimed = await media.claim(connection, limit=free, lease_seconds=lease)
        for file in claimed:
            task = asyncio.create_task(self._handle(file))
            self._tasks.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._stirred.set()
        if not task.cancelled() and (error := task.exception()):  # the claim runs out, and it is tried again
            log.error("media_broke", exc_info=error)

    async def _listen_for_ever(self) -> None:
        """Wake up at once when a customer sent a file; without Redis, the next poll finds it."""
        pause = 0.1
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(streams.MEDIA_DUE)
                    pause = 0.1
                    while True:
                        if await pubsub.get_message(ignore_subscribe_messages=True, timeout=5.0):
                            self._stirred.set()
            except (RedisError, OSError) as error:
                log.warning("media_not_listening", error=type(error).__name__, retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    async def _handle(self, file: Claimed) -> None:
        """One file, to its end: ready, failed, or to be tried again. A claim that is never settled runs out."""
        with bound(tenant_id=file.tenant_id, conversation_id=file.conversation_id), SECONDS.time():
            try:
                await self._settle(file, await self._fetch(file))
            except (*DATABASE_ERRORS, Unavailable) as error:
                log.warning("media_unsettled", media_id=str(file.id), error=type(error).__name__)

    async def _fetch(self, file: Claimed) -> Kept | FileUnavailable:
        """The file in the object store, or why not."""
        if file.attempt > self._settings.max_attempts:
            return FileUnavailable("The file could not be fetched; every attempt broke off.")
        account: Account | None = None
        try:
            account = await self._directory.find(str(file.channel_config_id))
            channel = self._channels.get(account.kind) if account else None
            if account is None or channel is None:
                return FileUnavailable("The channel was removed or switched off.", retryable=True)
            return await self._download(file, channel, account)
        except FileUnavailable as error:
            return FileUnavailable(_without_secrets(error.reason, account), retryable=error.retryable)
        except TimeoutError:
            return FileUnavailable("The platform did not send the file in time.", retryable=True)
        except Unavailable:
            return FileUnavailable("The file could not be stored just now.", retryable=True)
        except (aiohttp.ClientError, OSError) as error:
            if _is_forbidden(error):
                return FileUnavailable("The file lies at an address that is not public.")
            return FileUnavailable(f"The platform cannot be reached ({type(error).__name__}).", retryable=True)
        except Exception as error:  # noqa: BLE001 - one file's edge: an adapter's fault must not stop the others
            # only its name and place: the message may hold an address with a token in it
            log.error("media_crashed", media_id=str(file.id), error=type(error).__name__, at=_place(error))
            return FileUnavailable("Something went wrong on our side.", retryable=True)

    async def _download(self, file: Claimed, channel: Channel, account: Account) -> Kept:
        attachment = Attachment(
            kind=file.kind,
            external_id=file.external_id,
            url=file.url,
            media_type=file.media_type,
            filename=file.filename,
            size=file.size,
            media_id=str(file.id),
        )
        async with Spool(self._settings) as spool:
            spool.check_size(file.size)
            async with (
                asyncio.timeout(self._settings.timeout_seconds),
                channel.download(attachment, account, self._http) as download,
            ):
                spool.check_size(download.size)
                async for chunk in download.chunks:
                    await spool.write(chunk)
            spool.complete(download.size)
            kind = spool.media_type(file.media_type or download.media_type)
            key = media.storage_key(file.tenant_id, file.conversation_id, file.id)
            async with asyncio.timeout(_LEASE_MARGIN_SECONDS - 5):
                await spool.store(self._store, key)
        return Kept(
            media_type=kind,
            filename=safe_name(file.filename or download.filename, kind),
            size=spool.size,
            sha256=spool.sha256,
            storage_key=key,
            reading="wanted" if file.reading == "wanted" and kind.startswith(_READABLE) else "none",
        )

    async def _settle(self, file: Claimed, result: Kept | FileUnavailable) -> None:
        if isinstance(result, FileUnavailable):
            await self._settle_failure(file, result)
            return
        async with self._database.single_across_tenants() as connection:
            held = await media.settle_ready(connection, file.id, file.attempt, result)
        if not held:  # deleted by the customer meanwhile, or fetched by another process
            await self._tidy(file, result)
            return
        FILES.labels(await self._kind(file), "ready").inc()
        log.info("media_ready", media_id=str(file.id), size=result.size, media_type=result.media_type)
        if result.reading == "wanted":
            await self._have_read(file)
        elif file.reading == "wanted":
            await self._hurry(file)
        await self._announce(file, "ready", media_type=result.media_type, size=result.size, filename=result.filename)

    async def _settle_failure(self, file: Claimed, failure: FileUnavailable) -> None:
        error = {"code": "file_unavailable", "message": failure.reason}
        again = failure.retryable and file.attempt < self._settings.max_attempts
        async with self._database.single_across_tenants() as connection:
            if again:
                delay = self._pause(file.attempt)
                held = await media.settle_retry(connection, file.id, file.attempt, error, delay=delay)
                asyncio.get_running_loop().call_later(delay, self._stirred.set)
            else:
                held = await media.settle_failed(connection, file.id, file.attempt, error)
        FILES.labels(await self._kind(file), "retried" if again else "failed").inc()
        log.warning("media_failed", media_id=str(file.id), attempt=file.attempt, again=again, reason=failure.reason)
        if held and not again:
            await self._hurry(file)
            await self._announce(file, "failed", error=error)

    def _pause(self, attempt: int) -> float:
        """Seconds before the next attempt: tripling, capped, a third of it left to chance."""
        longest = min(self._settings.retry_seconds * 3.0 ** (attempt - 1), _LONGEST_PAUSE)
        return longest * random.uniform(0.67, 1.0)  # noqa: S311 - not a secret

    async def _tidy(self, file: Claimed, kept: Kept) -> None:
        """Delete what was stored for nothing, unless another process has stored the same and the file is in use."""
        async with self._database.single_across_tenants() as connection:
            row = await media.file(connection, file.id)
        if row is None or row.state not in {"ready", "pending"}:
            await self._store.delete(kept.storage_key)

    async def _have_read(self, file: Claimed) -> None:
        """Ask a worker to read the file; its sweep makes up for a Redis that is away."""
        job = jobs.ReadMediaJob(tenant_id=str(file.tenant_id), media_id=str(file.id))
        try:
            await jobs.enqueue_read(self._queue, job)
        except (RedisError, OSError) as error:
            log.warning("media_reading_postponed", media_id=str(file.id), error=type(error).__name__)

    async def _hurry(self, file: Claimed) -> None:
        async with self._database.single_across_tenants() as connection:
            await media.hurry_turn(connection, file.conversation_id, debounce_seconds=self._debounce_seconds)

    async def _announce(self, file: Claimed, status: str, **more: Any) -> None:
        data = {
            "media_id": str(file.id),
            "message_id": str(file.message_id) if file.message_id else None,
            "conversation_id": str(file.conversation_id),
            "status": status,
            **more,
        }
        channel = streams.live_channel(str(file.tenant_id))
        await streams.announce(self._redis, channel, {"type": "media.updated", "data": data})

    async def _kind(self, file: Claimed) -> str:
        account = self._directory.by_id(str(file.channel_config_id))
        return account.kind if account else "unknown"

    async def _sweep_sometimes(self) -> None:
        now = time.monotonic()
        if now - self._swept < SWEEP_SECONDS:
            return
        full = now - self._fully_swept >= FULL_SWEEP_SECONDS
        self._swept, self._fully_swept = now, now if full else self._fully_swept
        await self.sweep(days=None if full else _RECENT_DAYS)

    async def sweep(self, *, days: float | None = _RECENT_DAYS) -> None:
        """Delete the objects of files that are gone (of the last `days`; None: of all), and uploads nobody sent."""
        seconds = self._settings.unsent_hours * 3600
        async with self._database.single_across_tenants() as connection:
            gone = await media.leftovers(connection, days=days)
            unsent = await media.take_unsent(connection, seconds=seconds)
        for file in [*gone, *unsent]:
            if file.storage_key:
                await self._store.delete(file.storage_key)
        async with self._database.single_across_tenants() as connection:
            await media.cleared(connection, [file.id for file in gone])
            await media.drop(connection, [file.id for file in unsent])


def _is_forbidden(error: OSError | aiohttp.ClientError) -> bool:
    """Whether the guard at the socket refused; aiohttp makes one error of all the addresses that it tried."""
    return isinstance(error, OSError) and error.errno == errno.EACCES and "not public" in str(error)


def _without_secrets(reason: str, account: Account | None) -> str:
    """The reason, should an adapter ever have put the account's credentials into it."""
    for value in vars(account.credentials).values() if account else ():
        secret = value.get_secret_value() if isinstance(value, SecretStr) else ""
        if len(secret) >= 6:
            reason = reason.replace(secret, "[redacted]")
    return reason[:500]


def _place(error: BaseException) -> str:
    """File and line where an exception was raised."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
