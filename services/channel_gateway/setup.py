"""Setting accounts up with their platforms, on behalf of the orchestrator: connect, diagnose, disconnect, templates."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Header
from pydantic import BaseModel

from packages.core import crypto
from packages.core.domain.channels import Channel as Account
from packages.core.domain.channels import Finding
from packages.core.errors import NotFound, Unauthenticated, Unavailable
from services.channel_gateway.channels import Channel, TemplateInfo
from services.channel_gateway.parts import TheParts

log = structlog.get_logger(__name__)
SECONDS = 8.0


async def _service(parts: TheParts, secret: Annotated[str | None, Header(alias="X-Parley-Service")] = None) -> None:
    """Let in the other services of this installation, which know the shared secret.

    Raises:
        Unauthenticated: the secret is missing or wrong.
    """
    expected = crypto.derive_key(parts.settings.secret, "service").hex()
    if not crypto.same(secret or "", expected):
        raise Unauthenticated("This is for the services of this installation.")


router = APIRouter(
    prefix="/internal/channels/{channel_config_id}", dependencies=[Depends(_service)], include_in_schema=False
)


class Findings(BaseModel):
    """What was found of an account."""

    items: list[Finding]


class Templates(BaseModel):
    """An account's templates."""

    items: list[TemplateInfo]


Ask = Callable[[Channel, Account], Awaitable[Any]]


@router.post("/connect")
async def connect(channel_config_id: UUID, parts: TheParts) -> Findings:
    """Check the credentials with the platform and register the webhook."""
    account = await _account(parts, channel_config_id)
    channel = parts.channels[account.kind]
    return Findings(items=await _findings(channel.connect(account, parts.platforms)))


@router.get("/diagnosis")
async def diagnose(channel_config_id: UUID, parts: TheParts) -> Findings:
    """What the platform says of the account."""
    account = await _account(parts, channel_config_id)
    channel = parts.channels[account.kind]
    return Findings(items=await _findings(channel.diagnose(account, parts.platforms)))


@router.post("/disconnect", status_code=204)
async def disconnect(channel_config_id: UUID, parts: TheParts) -> None:
    """Take the webhook's registration back, as far as the platform lets us."""
    account = await _account(parts, channel_config_id)
    try:
        async with asyncio.timeout(SECONDS):
            await parts.channels[account.kind].disconnect(account, parts.platforms)
    except TimeoutError:
        log.warning("disconnect_timed_out", channel_config_id=str(channel_config_id))


@router.get("/templates")
async def list_templates(channel_config_id: UUID, parts: TheParts) -> Templates:
    """The account's templates, asked for anew."""
    account = await _account(parts, channel_config_id)
    try:
        async with asyncio.timeout(SECONDS):
            return Templates(items=await parts.channels[account.kind].templates(account, parts.platforms))
    except TimeoutError as error:
        raise Unavailable("The platform did not list its templates in time; please try again.") from error


async def _account(parts: TheParts, channel_config_id: UUID) -> Account:
    """The account as PostgreSQL has it now, whatever was known of it."""
    account = await parts.directory.reread(channel_config_id)
    if account is None:
        raise NotFound("There is no usable channel config with this id.")
    return account


async def _findings(asked: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        async with asyncio.timeout(SECONDS):
            return await asked
    except TimeoutError:
        message = f"The platform did not answer within {SECONDS:.0f} seconds."
        return [Finding(check="reachable", level="warning", message=message, remedy="Try the diagnosis again later.")]
