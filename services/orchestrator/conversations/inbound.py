"""Messages in, for direct callers and for gateways whose Redis is away: the same intake as the stream's."""

import asyncio
import re
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Header, Request, Response

from packages.core import tracing
from packages.core.db.base import now
from packages.core.db.repository import get
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.db.tables.conversations import MessageLog
from packages.core.domain.messages import InboundEvent, InboundMessage
from packages.core.domain.tenants import Role
from packages.core.errors import Conflict, InvalidInput
from services.orchestrator.auth.permissions import Principal, Scope, require, service_only
from services.orchestrator.conversations import repository, views
from services.orchestrator.conversations.schemas import (
    EventsTaken,
    EventTaken,
    InboundAccepted,
    InboundAnswered,
    InboundMessageIn,
)
from services.orchestrator.intake import Intake, RejectedEvent
from services.orchestrator.parts import TheDatabase, part

router = APIRouter(prefix="/v1/messages", tags=["messages"])
Sender = Annotated[Principal, require(Role.AGENT, Scope.MESSAGES_WRITE)]
TheIntake = Annotated[Intake, Depends(part(Intake))]
LONGEST_WAIT = 60.0
_WAIT = re.compile(r"\bwait=(\d{1,4})\b")
_SHORTEST_LOOK, _LONGEST_LOOK = 0.05, 0.5


class _Batch(msgspec.Struct):
    events: list[InboundEvent]


@router.post("/inbound", status_code=202, responses={200: {"model": InboundAnswered}}, response_model=None)
async def take_message(
    body: InboundMessageIn,
    response: Response,
    principal: Sender,
    database: TheDatabase,
    intake: TheIntake,
    prefer: Annotated[
        str | None, Header(description="`wait=N` waits up to N seconds (60 at most) for the reply (RFC 7240)")
    ] = None,
) -> InboundAccepted | InboundAnswered:
    """Take a customer's message in, as a gateway does: 202 when it is durable; with `Prefer: wait=N`, 200 with `reply`.

    The reply goes to the customer on the channel as well. A repeated `external_id` changes nothing, and answers with
    the ids of the first time.
    """
    async with database.tenant(principal.tenant_id) as session:
        config = await get(session, ChannelConfig, body.channel_config_id)
    if config.status == "disabled":
        raise Conflict("This channel config is disabled.")
    try:
        taken = (await intake.take([_event(principal, body)]))[0]
    except RejectedEvent as error:
        raise InvalidInput(f"This message cannot be stored: {error}") from error
    ids = {"message_id": taken.message_id, "conversation_id": taken.conversation_id, "duplicate": taken.duplicate}
    seconds = _wait(prefer)
    if seconds is None or taken.message_id is None:
        return InboundAccepted(**ids)
    response.headers["Preference-Applied"] = f"wait={seconds:.0f}"
    reply = await _reply(database, principal.tenant_id, taken.message_id, seconds)
    if reply is None:
        return InboundAccepted(**ids)
    response.status_code = 200
    return InboundAnswered(**ids, reply=views.message(reply))


@router.post("/inbound/batch", status_code=202, dependencies=[service_only])
async def take_events(request: Request, intake: TheIntake) -> EventsTaken:
    """Take a gateway's events in, where its Redis is away. For the services of this installation. 202 means durable."""
    try:
        batch = msgspec.json.decode(await request.body(), type=_Batch)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"These are not inbound events: {error}") from error
    taken = await intake.take_all(batch.events) if batch.events else []
    return EventsTaken(items=[EventTaken.model_validate(item) for item in taken])


def _event(principal: Principal, body: InboundMessageIn) -> InboundEvent:
    message = msgspec.convert(body.model_dump(mode="json"), InboundMessage)
    return InboundEvent(
        tenant_id=str(principal.tenant_id),
        channel_config_id=message.channel_config_id,
        external_id=message.external_id,
        kind="message",
        message=message,
        received_at=now(),
        traceparent=tracing.traceparent(),
    )


def _wait(prefer: str | None) -> float | None:
    found = _WAIT.search(prefer or "")
    return min(float(found.group(1)), LONGEST_WAIT) if found else None


async def _reply(database: Database, tenant_id: UUID, message_id: UUID, seconds: float) -> MessageLog | None:
    """The reply as soon as it is committed; looked for ever less often. Holds no connection while it waits."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + seconds, _SHORTEST_LOOK
    while True:
        async with database.tenant(tenant_id) as session:
            reply = await repository.reply_to(session, message_id)
        if reply is not None or loop.time() >= until:
            return reply
        await asyncio.sleep(min(pause, max(until - loop.time(), 0.0)))
        pause = min(pause * 1.3, _LONGEST_LOOK)
