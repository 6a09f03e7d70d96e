"""The webhook routes of every channel: verify, parse, route each item by its own account, append, acknowledge.

This is the product's hot path, so it is a bare ASGI application in front of the web framework: no routing table, no
dependency injection, no span, no log line for what went well. An answer of 200 means that every item is durable.
"""

import os
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import msgspec
import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Receive, Scope, Send

from packages.core.config import MetaSettings
from packages.core.db.base import new_id
from packages.core.domain.channels import Channel as Account
from packages.core.errors import AppError, Forbidden, NotFound, TooLarge
from packages.core.http import error_response
from packages.core.logging import bound, request_id
from services.channel_gateway import meta
from services.channel_gateway.channels import Channel, Forged, Unreadable, WebhookRequest
from services.channel_gateway.directory import Directory
from services.channel_gateway.inbound_log import InboundLog
from services.channel_gateway.routing import Router, event, unreadable
from services.channel_gateway.signals import Signals

log = structlog.get_logger(__name__)

WEBHOOKS = Counter("parley_webhooks_total", "Webhook requests by channel and status", ["channel", "status"])
ITEMS = Counter("parley_webhook_items_total", "Webhook items by channel and what they were", ["channel", "outcome"])
ACK = Histogram(
    "parley_webhook_ack_seconds",
    "Time from a webhook's last byte to its durable acknowledgement",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
PREFIX = "/webhooks/"
_FOR_ALL = ("meta", "")
_REFUSALS_LOGGED_PER_SECOND = 5.0


class MethodNotAllowed(AppError):
    """Webhooks know GET and POST."""

    code = "method_not_allowed"
    status = 405

    @property
    def headers(self) -> dict[str, str]:
        """RFC 9110 asks for the allowed methods."""
        return {"Allow": "GET, POST"}


class Crashed(AppError):
    """A fault of ours."""

    code = "internal"
    status = 500


class Webhooks:
    """Answers /webhooks/{channel}/{channel_config_id} and /webhooks/meta.

    Args:
        base_url: the gateway's public address; some platforms sign the URL they called.
        max_body: larger bodies are refused at once, in bytes.
        sample_ratio: share of requests whose trace is recorded further on.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        directory: Directory,
        inbound: InboundLog,
        signals: Signals,
        *,
        meta_app: MetaSettings,
        base_url: str,
        max_body: int,
        sample_ratio: float = 1.0,
    ) -> None:
        self._channels = channels
        self._directory = directory
        self._inbound = inbound
        self._signals = signals
        self._meta_secret = meta_app.app_secret.get_secret_value() if meta_app.app_secret else ""
        self._meta_token = meta_app.verify_token.get_secret_value() if meta_app.verify_token else ""
        self._base_url = base_url
        self._max_body = max_body
        self._sample_ratio = sample_ratio
        self._accepted = {name: WEBHOOKS.labels(name, 200) for name in (*channels, "meta")}
        self._taken = {name: ITEMS.labels(name, "taken") for name in channels}
        self._log_allowance = _REFUSALS_LOGGED_PER_SECOND
        self._logged_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        channel, _, config_id = scope["path"].removeprefix(PREFIX).partition("/")
        own_id = new_id().hex
        try:
            if self._delivers(channel, config_id, scope["method"], scope["query_string"]):
                await self._post(channel, config_id, scope, receive)
                await _answer(send, b"", own_id)
            elif scope["method"] in {"GET", "HEAD"}:
                await _answer(send, await self._handshake(channel, config_id, scope), own_id)
            else:
                raise MethodNotAllowed("Webhooks are POSTed.")
            self._accepted[channel].inc()
        except AppError as error:
            await self._refusal(error, channel, scope["path"], own_id)(scope, receive, send)
        except Exception as error:  # the edge of this route: whatever it was, the platform delivers again
            log.exception("webhook_crashed", path=scope["path"][:200], request_id=own_id)
            failure = Crashed(f"Something went wrong on our side: {type(error).__name__}.")
            await self._refusal(failure, channel, scope["path"], own_id)(scope, receive, send)

    def _delivers(self, channel: str, config_id: str, method: str, query: bytes) -> bool:
        """Whether a request brings events. A platform that may bring them by GET puts them into the query."""
        if method == "POST":
            return True
        known = self._channels.get(channel)
        return bool(known and config_id and method in known.webhook_methods and query)

    async def _post(self, channel: str, config_id: str, scope: Scope, receive: Receive) -> None:
        account = None if (channel, config_id) == _FOR_ALL else await self._account(channel, config_id)
        body = await self._body(scope, receive)
        started = time.perf_counter()
        request = self._request(scope, body)
        if account:
            await self._take(self._channels[channel], account, request)
        else:
            await self._take_for_all(request)
        ACK.observe(time.perf_counter() - started)

    async def _account(self, channel: str, config_id: str) -> Account:
        account = self._directory.by_id(config_id) or await self._directory.find(config_id)
        if account is None or account.kind != channel:
            raise NotFound("There is no such webhook.")
        return account

    async def _take(self, channel: Channel, account: Account, request: WebhookRequest) -> None:
        """A webhook of one brand: of its own app or bot, or of the operator's Meta app."""
        if not self._authentic(channel, account, request):
            raise Forged("The signature is missing or wrong.")
        received_at, traceparent = datetime.now(UTC), self._traceparent()
        try:
            items = channel.parse(request)
        except Unreadable as error:
            item = unreadable(request, error.message)
            await self._inbound.append([event(item, account, received_at, traceparent)])
            raise
        router = Router(self._directory, account, lambda other: self._authentic(channel, other, request))
        routed = [await router.route(item) for item in items]
        await self._inbound.append([event(item, owner, received_at, traceparent) for item, owner in routed])
        for item, owner in routed:
            if item.message and item.message.kind == "postback":
                self._signals.accept(item.message, owner)
        self._taken[account.kind].inc(len(routed))

    async def _take_for_all(self, request: WebhookRequest) -> None:
        """A webhook of the operator's Meta app, which serves many tenants; what is nobody's is counted and dropped."""
        if not self._signed_by_meta(request):
            raise Forged("The signature is missing or wrong.")
        try:
            name = meta.channel_of(request.body) or "unknown"
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            log.warning("meta_webhook_unreadable", error=str(error))
            raise Unreadable("The webhook's body is not Meta's.") from error
        channel = self._channels.get(name)
        received_at, traceparent, events = datetime.now(UTC), self._traceparent(), []
        for item in channel.parse(request) if channel else ():
            account = await self._directory.find_account(name, item.account_id) if item.account_id else None
            if account:
                events.append(event(item, account, received_at, traceparent))
                continue
            ITEMS.labels(name, "dropped").inc()
            log.warning("webhook_item_of_no_tenant", channel=name, account_id=item.account_id, kind=item.kind)
        await self._inbound.append(events)
        if events:
            self._taken[name].inc(len(events))

    def _authentic(self, channel: Channel, account: Account, request: WebhookRequest) -> bool:
        try:
            channel.verify(request, account)
        except Forged:
            return account.kind in meta.CHANNELS.values() and self._signed_by_meta(request)
        return True

    def _signed_by_meta(self, request: WebhookRequest) -> bool:
        return meta.signed(request.body, request.headers.get("x-hub-signature-256"), self._meta_secret)

    async def _handshake(self, channel: str, config_id: str, scope: Scope) -> bytes:
        request = self._request(scope, b"")
        if (channel, config_id) == _FOR_ALL:
            answer = meta.challenge(request.query, self._meta_token)
        else:
            answer = self._own_challenge(await self._account(channel, config_id), request)
        if answer is None:
            raise Forbidden("The handshake is incomplete, or its verify token is wrong.")
        return answer.encode()

    def _own_challenge(self, account: Account, request: WebhookRequest) -> str | None:
        try:
            return self._channels[account.kind].challenge(request, account)
        except Forged:
            return meta.challenge(request.query, self._meta_token) if account.kind in meta.CHANNELS.values() else None

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, refused as soon as it is known to be too large."""
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._max_body:
                raise TooLarge(f"A webhook may have at most {self._max_body} bytes.")
        message = await receive()
        body: bytes = message.get("body", b"")
        chunks, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._max_body:
                raise TooLarge(f"A webhook may have at most {self._max_body} bytes.")
        return body if len(chunks) == 1 else b"".join(chunks)

    def _request(self, scope: Scope, body: bytes) -> WebhookRequest:
        query = scope["query_string"].decode("latin-1")
        return WebhookRequest(
            method=scope["method"],
            url=f"{self._base_url}{scope['path']}{'?' + query if query else ''}",
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
            body=body,
        )

    def _traceparent(self) -> str:
        """A new W3C trace, made by hand: a recorded span would cost as much as the rest of the request."""
        ids = os.urandom(24).hex()
        sampled = self._sample_ratio >= 1 or random.random() < self._sample_ratio  # noqa: S311 - no secret
        return f"00-{ids[:32]}-{ids[32:]}-0{int(sampled)}"

    def _refusal(self, error: AppError, channel: str, path: str, own_id: str) -> ASGIApp:
        WEBHOOKS.labels(channel if channel in self._accepted else "unknown", error.status).inc()
        token = request_id.set(own_id)
        try:
            if self._may_log():
                with bound(request_id=own_id):
                    log.warning("webhook_refused", path=path[:200], status=error.status, reason=error.message)
            response = error_response(error.code, error.message, error.status, headers=error.headers)
            response.headers["x-request-id"] = own_id
            return response
        finally:
            request_id.reset(token)

    def _may_log(self) -> bool:
        """Forged webhooks must not fill the disk with lines about them."""
        now = time.monotonic()
        gained = (now - self._logged_at) * _REFUSALS_LOGGED_PER_SECOND
        self._log_allowance = min(_REFUSALS_LOGGED_PER_SECOND, self._log_allowance + gained)
        self._logged_at = now
        if self._log_allowance < 1:
            return False
        self._log_allowance -= 1
        return True


async def _answer(send: Send, body: bytes, own_id: str) -> None:
    """200. The body is text and nothing else, whatever a caller had us echo."""
    headers = [(b"content-length", str(len(body)).encode()), (b"x-request-id", own_id.encode())]
    if body:
        headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
