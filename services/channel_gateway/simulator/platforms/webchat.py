"""Web chat visitors: each plays one browser that keeps its session, sends in order and listens for answers."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp
import msgspec
import structlog

from packages.core.domain.channels import Channel
from packages.core.errors import InvalidInput
from services.channel_gateway.simulator.courier import Receipt
from services.channel_gateway.simulator.platforms import CustomerMessage, Line, Platform, Stage, Writing
from services.channel_gateway.simulator.posting import post
from services.channel_gateway.simulator.records import Errand, Sent, Written

log = structlog.get_logger(__name__)

_SESSION_NOTE = "webchat:session:"
_LISTEN_FOR = 3600.0
_MOST_VISITORS = 2000
_PAUSES = (0.3, 5.0)
_NO_ANSWER = frozenset({"customer", "visitor"})


@dataclass(slots=True)
class Visitor:
    """One browser. `after` is the number of the last message it has shown, `active` when it last wrote (Unix time)."""

    channel_config_id: str
    name: str
    token: str | None = None
    customer_id: str | None = None
    after: int = 0
    active: float = 0.0

    @property
    def key(self) -> str:
        """Where it is remembered, and what its messages are ordered by."""
        return f"{_SESSION_NOTE}{self.channel_config_id}:{self.name}"


class WebChat(Platform):
    """Every visitor of every web chat."""

    kind = "webchat"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._visitors: dict[str, Visitor] = {}
        self._listeners: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Open the chats again that were open."""
        for note in (await self.stage.records.notes(_SESSION_NOTE)).values():
            visitor = Visitor(**note)
            self._visitors[visitor.key] = visitor
            if visitor.token is not None and time.time() - visitor.active < _LISTEN_FOR:
                self._listen(visitor)

    async def stop(self) -> None:
        """Close every browser."""
        for task in self._listeners.values():
            task.cancel()
        await asyncio.gather(*self._listeners.values(), return_exceptions=True)

    async def write(self, account: Channel, message: CustomerMessage) -> Writing:
        """One errand per message (and repeat), in order for each visitor."""
        if message.forged:
            return self._forged(account, message)
        lines = message.lines[::-1] if message.reorder else message.lines
        writing = Writing([], [])
        for line in lines:
            own = account
            if line.channel_config_id is not None:
                own = await self.stage.accounts.get(self.kind, line.channel_config_id)
            self._add(writing, own, line, message)
        return writing

    async def carry(self, errands: list[Errand]) -> Receipt:
        """Send one message as its visitor; a session that has ended is opened anew."""
        errand = errands[0]
        visitor = self._visitor(errand.channel_config_id, errand.data["from"])
        if errand.data["forged"]:
            status, answer = await self._send(errand, "forged")
            return Receipt(True, status, answer)
        if visitor.token is None:
            refused = await self._open(visitor, errand.data.get("name"))
            if refused is not None:
                return refused
        status, answer = await self._send(errand, str(visitor.token))
        if status == 401:
            visitor.token = None
        if status == 202:
            visitor.active = time.time()
            self._listen(visitor)
            await self._remember(visitor)
        return Receipt(_is_final(status), status, answer)

    def _forged(self, account: Channel, message: CustomerMessage) -> Writing:
        writing = Writing([], [])
        for line in message.lines:
            self._add(writing, account, line, message)
        return writing

    def _add(self, writing: Writing, account: Channel, line: Line, message: CustomerMessage) -> None:
        if line.text is None:
            raise InvalidInput("A web chat visitor can only write text.")
        sender, client_id = str(line.sender), line.external_id or str(uuid.uuid4())
        data: dict[str, Any] = {"from": sender, "name": line.name, "text": line.text, "client_id": client_id}
        data |= {"forged": message.forged, "headers": message.headers}
        writing.written.append(
            Written(
                channel=self.kind, channel_config_id=account.id, sender=sender, text=line.text, external_id=client_id
            )
        )
        visitor = self._visitor(account.id, sender)
        due = time.time() + message.delay_ms / 1000
        writing.errands.extend(
            Errand(
                platform=self.kind,
                channel_config_id=account.id,
                data=data,
                due=due,
                lane=None if message.forged else visitor.key,
            )
            for _ in range(message.duplicates + 1)
        )

    def _visitor(self, channel_config_id: str, name: str) -> Visitor:
        visitor = Visitor(channel_config_id, name)
        return self._visitors.setdefault(visitor.key, visitor)

    def _base(self, channel_config_id: str) -> str:
        return f"{self.stage.settings.gateway_base_url}/webchat/{channel_config_id}"

    async def _open(self, visitor: Visitor, name: str | None) -> Receipt | None:
        """Get a session; the receipt of the failure where there is none."""
        body = json.dumps({"name": name} if name else {}).encode()
        headers = {"Content-Type": "application/json"}
        url = f"{self._base(visitor.channel_config_id)}/sessions"
        status, answer = await post(self.stage.http, url, body, headers, self.stage.settings.simulator_webhook_timeout)
        if status not in (200, 201):
            return Receipt(_is_final(status), status, answer)
        session = msgspec.json.decode(answer)
        if session.get("customer_id") != visitor.customer_id:
            visitor.after = 0
        visitor.token, visitor.customer_id = session["session_token"], session.get("customer_id")
        if (listener := self._listeners.pop(visitor.key, None)) is not None:
            listener.cancel()
        await self._remember(visitor)
        return None

    async def _send(self, errand: Errand, token: str) -> tuple[int | None, str]:
        body = json.dumps({"client_id": errand.data["client_id"], "text": errand.data["text"]}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}", **errand.data["headers"]}
        url = f"{self._base(errand.channel_config_id)}/messages"
        return await post(self.stage.http, url, body, headers, self.stage.settings.simulator_webhook_timeout)

    async def _remember(self, visitor: Visitor, sent: list[Sent] | None = None) -> None:
        notes = [(visitor.key, asdict(visitor))]
        await self.stage.records.save(errands=[], sent=sent or [], written=[], notes=notes)

    def _listen(self, visitor: Visitor) -> None:
        if visitor.key in self._listeners or len(self._listeners) >= _MOST_VISITORS:
            return
        task = asyncio.create_task(self._listen_on(visitor), name=visitor.key)
        self._listeners[visitor.key] = task
        task.add_done_callback(lambda ended: self._forget_listener(visitor.key, ended))

    def _forget_listener(self, key: str, ended: "asyncio.Task[None]") -> None:
        if self._listeners.get(key) is ended:
            del self._listeners[key]

    async def _listen_on(self, visitor: Visitor) -> None:
        """Follow the stream, and open it again when it breaks, until the visitor has been silent for long."""
        pause = _PAUSES[0]
        while visitor.token is not None and time.time() - visitor.active < _LISTEN_FOR:
            before = visitor.after
            try:
                await self._catch_up(visitor)
                async for event, data in self._events(visitor):
                    if event == "message":
                        await self._show(visitor, [data])
                    elif event == "typing":
                        self.stage.typing.show(f"{visitor.channel_config_id}:{visitor.name}")
            except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError, ValueError) as error:
                log.info("visitor_disconnected", reason=type(error).__name__)
            pause = _PAUSES[0] if visitor.after > before else min(_PAUSES[1], pause * 2)
            await asyncio.sleep(pause)

    async def _catch_up(self, visitor: Visitor) -> None:
        """Ask for what came while nobody listened."""
        url = f"{self._base(visitor.channel_config_id)}/messages"
        limit = aiohttp.ClientTimeout(total=10)
        params = {"after": str(visitor.after)}
        async with self.stage.http.get(url, params=params, headers=_bearer(visitor), timeout=limit) as response:
            response.raise_for_status()
            await self._show(visitor, (await response.json())["items"])

    async def _events(self, visitor: Visitor) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Server-sent events of the visitor's stream; heartbeats keep it open."""
        url = f"{self._base(visitor.channel_config_id)}/stream"
        limit = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=45)
        headers = {**_bearer(visitor), "Accept": "text/event-stream", "Last-Event-ID": str(visitor.after)}
        params = {"after": str(visitor.after)}
        async with self.stage.http.get(url, params=params, headers=headers, timeout=limit) as response:
            response.raise_for_status()
            event, data = "message", ""
            async for raw in response.content:
                line = raw.decode().rstrip("\r\n")
                field, _, value = line.partition(":")
                if field == "event":
                    event = value.strip()
                elif field == "data":
                    data += value.removeprefix(" ")
                elif not line and data:
                    yield event, msgspec.json.decode(data, type=dict[str, Any])
                    event, data = "message", ""

    async def _show(self, visitor: Visitor, messages: list[dict[str, Any]]) -> None:
        """Record what the brand wrote; each number once, in order."""
        new = sorted((item for item in messages if int(item["seq"]) > visitor.after), key=lambda item: int(item["seq"]))
        if not new:
            return
        visitor.after = int(new[-1]["seq"])
        sent = [
            Sent(
                channel=self.kind,
                channel_config_id=visitor.channel_config_id,
                to=visitor.name,
                text=item.get("text"),
                message_id=item.get("id"),
                external_id=str(item.get("id")),
                payload=item,
            )
            for item in new
            if item.get("author") not in _NO_ANSWER
        ]
        await self._remember(visitor, sent)


def _bearer(visitor: Visitor) -> dict[str, str]:
    return {"Authorization": f"Bearer {visitor.token}"}


def _is_final(status: int | None) -> bool:
    """Whether a browser would not try again: taken, or refused for good. A lost session is opened anew."""
    return status is not None and (status == 202 or (400 <= status < 500 and status not in (401, 404, 408, 425, 429)))


platform = WebChat
