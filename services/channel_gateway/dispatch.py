"""One claimed message on its way: planned, put into parts, sent part by part, and how that ended."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import aiohttp
import structlog
from prometheus_client import Counter, Histogram

from packages.core.config import DeliverySettings
from packages.core.db.base import now
from packages.core.db.repositories import deliveries
from packages.core.db.repositories.deliveries import Claimed, Settlement
from packages.core.db.session import DATABASE_ERRORS, Database
from packages.core.domain.channels import Capabilities
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import OutboundResponse
from packages.core.errors import Unavailable
from services.channel_gateway.attention import Attention
from services.channel_gateway.channels import Channel, File, FileUnavailable, Part, SendResult
from services.channel_gateway.composition import Uncarried, compose
from services.channel_gateway.directory import Directory
from services.channel_gateway.limits import PATIENCE_SECONDS, Ask, Limits
from services.channel_gateway.planner import WINDOW_CLOSED, Fallback, Go, Hold, plan

log = structlog.get_logger(__name__)

SENDS = Counter("parley_sends_total", "Sends by channel and how they ended", ["channel", "outcome"])
SECONDS = Histogram(
    "parley_send_seconds",
    "Time that platforms take to accept a message",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
DOUBTFUL = Counter("parley_sends_repeated_in_doubt_total", "Sends repeated although the first may have arrived")
FOUND = Counter("parley_sends_found_total", "Sends in doubt that the platform says it has")
CLAIM_MARGIN_SECONDS = 5.0
MAX_IN_FLIGHT = 256
_LONGEST_BACKOFF = 60.0
_LIMITED_FOR = timedelta(days=1)
"""So long, being over the account's limits is not counted against a message."""


class PreparesFiles(Protocol):
    """Makes a message's attachments ready to send."""

    async def prepare(self, response: OutboundResponse) -> list[File]:
        """One file for each attachment, in their order. Raises FileUnavailable."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """How a message's turn ended; whether its platform was silent."""

    settlement: Settlement
    silent: bool = False


class _Later(Exception):
    """The next part must wait for the account's rate."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


@dataclass(slots=True)
class _Journey:
    """A message, its account, and how far it has come."""

    item: Claimed
    account: Account
    channel: Channel
    rules: Capabilities
    sent: int
    external_id: str | None = None
    part_ids: list[tuple[int, str]] = field(default_factory=list)
    silent: bool = False

    def arrived(self, number: int, external_id: str | None) -> None:
        """The platform has this part."""
        self.sent = number + 1
        if number == 0:
            self.external_id = external_id
        elif external_id:
            self.part_ids.append((number, external_id))

    def settlement(self, state: str, **more: Any) -> Settlement:
        """A settlement that says how far it has come."""
        return Settlement(
            message_id=self.item.response.message_id,
            state=state,
            parts_sent=self.sent,
            external_id=self.external_id,
            part_ids=tuple(self.part_ids),
            **more,
        )


class Dispatch:
    """Delivers one message at a time, many at once."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        channels: Mapping[str, Channel],
        http: aiohttp.ClientSession,
        settings: DeliverySettings,
        limits: Limits,
        attention: Attention,
        files: PreparesFiles | None,
        token: UUID,
    ) -> None:
        self._database = database
        self._directory = directory
        self._channels = channels
        self._http = http
        self._settings = settings
        self._limits = limits
        self._attention = attention
        self._files = files
        self._token = token
        self._places = asyncio.Semaphore(MAX_IN_FLIGHT)

    def rules(self, channel_config_id: str) -> Capabilities | None:
        """What the account's channel can do, if the account is known."""
        account = self._directory.by_id(channel_config_id)
        channel = self._channels.get(account.kind) if account else None
        return channel.capabilities_for(account) if account and channel else None

    def hold(self, channel_config_id: str) -> float:
        """Seconds until a claim that was never settled may be repeated: longer where a repeat could show twice."""
        rules = self.rules(channel_config_id)
        patience = self._settings.timeout_seconds + CLAIM_MARGIN_SECONDS + PATIENCE_SECONDS
        return patience if rules and rules.idempotent_send else patience + self._settings.in_doubt_seconds

    async def deliver(self, item: Claimed) -> Delivered:
        """Send a message as far as it goes now. Never raises."""
        response = item.response
        try:
            account = await self._directory.find(response.channel_config_id)
        except Unavailable as error:
            return Delivered(self._again(item, error.code, error.message, self._backoff(item)))
        channel = self._channels.get(account.kind) if account else None
        if account is None or channel is None:
            return Delivered(_failed(item, "no_channel", "The channel was removed or switched off."))
        journey = _Journey(item, account, channel, channel.capabilities_for(account), item.parts_sent)
        if self._attention.is_well(account):
            return Delivered(await self._tried(journey), journey.silent)
        with self._attention.gate(account) as refusal:
            if refusal is not None:
                return Delivered(_failed(item, "needs_attention", refusal))
            return Delivered(await self._tried(journey), journey.silent)

    async def _tried(self, journey: _Journey) -> Settlement:
        """One attempt, whatever comes of it."""
        try:
            return await self._attempt(journey, journey.item.window_closed)
        except _Later as later:
            return journey.settlement("retry", delay=later.seconds, counted=False)
        except DATABASE_ERRORS as error:
            log.warning("database_unavailable", error=str(error)[:200], message_id=journey.item.response.message_id)
            return journey.settlement("retry", delay=1.0, counted=False)
        except Exception as error:  # one send's edge: a fault here must not stop the others
            log.exception("send_crashed", channel=journey.account.kind, message_id=journey.item.response.message_id)
            return self._retried(journey, "adapter_error", f"{type(error).__name__}: {error}"[:300])

    async def _attempt(self, journey: _Journey, window_closed: bool) -> Settlement:
        """Plan, compose, send; once more where the platform alone knew that the window is closed."""
        item, account, rules = journey.item, journey.account, journey.rules
        decided = plan(
            item.response,
            rules,
            account.settings,
            heard_at=item.heard_at,
            now=now(),
            window_closed=window_closed,
            parts_sent=journey.sent,
        )
        if isinstance(decided, Hold):
            return _held(journey, decided.reason)
        response = item.response
        if isinstance(decided, Fallback):
            response = replace(response, template=decided.template, text="", buttons=(), citations=())
        try:
            files = await self._files.prepare(response) if response.attachments and self._files else ()
            parts = compose(response, rules, files)
        except Uncarried as error:
            return _failed(item, error.code, error.reason)
        except FileUnavailable as error:
            if error.retryable:
                return self._retried(journey, "file_unavailable", error.reason)
            return _failed(item, "file_unavailable", error.reason)
        if isinstance(decided, Go) and decided.outside_window:
            parts = [replace(part, outside_window=True) for part in parts]
        result = await self._send_parts(journey, parts)
        if result.outcome == "held" and not window_closed:
            return await self._attempt(journey, window_closed=True)
        return await self._settled(journey, result)

    async def _send_parts(self, journey: _Journey, parts: list[Part]) -> SendResult:
        """Send what the platform does not have yet, until one part does not go through.

        Raises:
            _Later: the next part must wait.
        """
        result = SendResult(outcome="sent")
        first, moved = journey.sent, False
        number = first
        while number < len(parts):
            if (len(parts) > 1 or parts[number].file) and not moved:
                await self._go_on(journey, parts, number, is_first=number == first)
            result = await self._send(journey, parts[number], repeated=journey.item.in_doubt > 0 and number == first)
            if result.moved_to and not moved and result.outcome != "sent":
                moved = True
                await self._move(journey, result.moved_to)
                parts = [replace(part, recipient=result.moved_to) for part in parts]
                continue
            if result.outcome != "sent":
                break
            journey.arrived(number, result.external_id)
            number, moved = number + 1, False
        return result

    async def _go_on(self, journey: _Journey, parts: list[Part], number: int, *, is_first: bool) -> None:
        """Before each of several parts, and before a file: note how far the message has come, and keep to the rate."""
        response = journey.item.response
        if not is_first:
            (wait,) = await self._limits.take([Ask(journey.account.id, response.recipient, journey.rules)])
            if wait > PATIENCE_SECONDS:
                raise _Later(wait)
            await asyncio.sleep(wait)
        async with self._database.single_across_tenants() as connection:
            await deliveries.progress(
                connection,
                self._token,
                journey.settlement("sending"),
                parts=len(parts),
                hold=self.hold(journey.account.id) + self._time_for(parts[number]) - self._settings.timeout_seconds,
            )

    def _time_for(self, part: Part) -> float:
        """Seconds that one request may take: a file has to be uploaded, or fetched by the platform, in that time."""
        return self._settings.file_timeout_seconds if part.file else self._settings.timeout_seconds

    async def _move(self, journey: _Journey, recipient: str) -> None:
        log.info("conversation_moved", conversation_id=journey.item.response.conversation_id)
        async with self._database.single_across_tenants() as connection:
            await deliveries.move(connection, UUID(journey.item.response.conversation_id), recipient)

    async def _send(self, journey: _Journey, part: Part, *, repeated: bool) -> SendResult:
        """One request; before a repeat that may show twice, the platform is asked whether it has it.

        Where it could not be asked, the doubt stays.
        """
        account, channel = journey.account, journey.channel
        async with self._places:
            started = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(self._time_for(part)):
                    if repeated and (found := await self._found(journey, part)):
                        return found
                    result = await channel.send(part, account, self._http)
            except TimeoutError:
                reason = "The platform did not answer in time."
                result = SendResult(outcome="in_doubt", code="timeout", reason=reason)
            SECONDS.labels(account.kind).observe(asyncio.get_running_loop().time() - started)
        journey.silent = result.outcome == "in_doubt" or result.code in {"unreachable", "timeout"}
        SENDS.labels(account.kind, result.outcome).inc()
        return result

    async def _found(self, journey: _Journey, part: Part) -> SendResult | None:
        found = await journey.channel.find(part, journey.account, self._http)
        if found is not None and found.outcome == "sent" and not await self._is_anothers(journey, found.external_id):
            FOUND.inc()
            return found
        if found is not None and found.outcome == "in_doubt":
            return found
        DOUBTFUL.inc()
        item = journey.item
        log.warning("send_repeated_in_doubt", message_id=item.response.message_id, attempt=item.attempts)
        return None

    async def _is_anothers(self, journey: _Journey, external_id: str | None) -> bool:
        """Whether what was found is an earlier message with the same words; taken for this one, this one were lost."""
        if external_id is None:
            return False
        message_id, account_id = UUID(journey.item.response.message_id), UUID(journey.account.id)
        async with self._database.single_across_tenants() as connection:
            return await deliveries.is_anothers(connection, message_id, account_id, external_id)

    async def _settled(self, journey: _Journey, result: SendResult) -> Settlement:
        item, account = journey.item, journey.account
        if result.outcome == "sent":
            await self._attention.works(account)
            return journey.settlement("sent")
        if result.outcome == "held":
            return _held(journey, result.reason or "", result.code)
        if result.account_down:
            await self._attention.down(account, result.reason or "The platform refuses this account.")
        if result.outcome == "failed" or result.account_down:
            return self._given_up(journey, result.code, result.reason)
        if result.outcome == "in_doubt":
            if item.attempts >= self._settings.max_attempts:
                return self._given_up(journey, result.code, result.reason)
            wait = self._settings.in_doubt_seconds if journey.rules.reports_sends else self._backoff(item)
            return journey.settlement("sending", error=_error(result.code, result.reason), delay=wait)
        wait = result.retry_after if result.retry_after is not None else self._backoff(item)
        if result.scope == "account":
            await self._limits.pause(account.id, wait)
            if now() - item.created_at < _LIMITED_FOR:
                error = _error(result.code, result.reason)
                return journey.settlement("retry", error=error, delay=wait, counted=False)
        elif result.retry_after is not None:
            await self._limits.pause(account.id, wait, item.response.recipient)
        return self._retried(journey, result.code, result.reason, wait)

    def _retried(
        self, journey: _Journey, code: str | None, reason: str | None, delay: float | None = None
    ) -> Settlement:
        if journey.item.attempts >= self._settings.max_attempts:
            return self._given_up(journey, code, reason)
        wait = self._backoff(journey.item) if delay is None else delay
        return journey.settlement("retry", error=_error(code, reason), delay=wait)

    def _given_up(self, journey: _Journey, code: str | None, reason: str | None) -> Settlement:
        log.warning("send_failed", message_id=journey.item.response.message_id, code=code, reason=reason)
        return journey.settlement("failed", error=_error(code, reason))

    def _again(self, item: Claimed, code: str, reason: str, delay: float) -> Settlement:
        if item.attempts >= self._settings.max_attempts:
            return _failed(item, code, reason)
        return Settlement(message_id=item.response.message_id, state="retry", error=_error(code, reason), delay=delay)

    def _backoff(self, item: Claimed) -> float:
        """Twice as long with each attempt, and not for all at the same moment."""
        longest: float = min(_LONGEST_BACKOFF, 0.5 * 2.0 ** min(item.attempts, 10))
        return longest * random.uniform(0.6, 1.0)  # noqa: S311 - jitter is no secret


def _error(code: str | None, reason: str | None) -> dict[str, Any] | None:
    return {"code": code, "message": reason} if code or reason else None


def _failed(item: Claimed, code: str, reason: str) -> Settlement:
    log.warning("send_failed", message_id=item.response.message_id, code=code, reason=reason)
    return Settlement(message_id=item.response.message_id, state="failed", error=_error(code, reason))


def _held(journey: _Journey, reason: str, code: str | None = None) -> Settlement:
    error: dict[str, Any] = {"code": WINDOW_CLOSED, "message": reason}
    return journey.settlement("held", error=error | ({"platform_code": code} if code else {}), counted=False)
