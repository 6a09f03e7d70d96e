"""A brand's accounts on channels."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from redis.asyncio import Redis

from packages.core import streams
from packages.core.crypto import SecretBox
from packages.core.domain.tenants import Role
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.channels import repository, service
from services.orchestrator.channels.catalogue import Catalogue
from services.orchestrator.channels.schemas import ChannelCreate, ChannelRead, ChannelUpdate
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase, TheRedis, part
from services.orchestrator.settings import OrchestratorSettings

router = APIRouter(prefix="/v1/brands/{brand_id}/channels", tags=["channels"])
Reader = Annotated[Principal, require(Role.VIEWER, Scope.CHANNELS_READ)]
Writer = Annotated[Principal, require(Role.TENANT_ADMIN, Scope.CHANNELS_WRITE)]
TheBox = Annotated[SecretBox, Depends(part(SecretBox))]
TheCatalogue = Annotated[Catalogue, Depends(part(Catalogue))]
TheSettings = Annotated[OrchestratorSettings, Depends(part(OrchestratorSettings))]


@router.post("", status_code=201)
async def connect_channel(
    brand_id: UUID,
    body: ChannelCreate,
    principal: Writer,
    database: TheDatabase,
    redis: TheRedis,
    catalogue: TheCatalogue,
    box: TheBox,
    settings: TheSettings,
) -> ChannelRead:
    """Connect an account of the brand; `webhook_url` is what the platform is to call. Gateways know it at once."""
    async with database.tenant(principal.tenant_id) as session:
        config = await service.create(session, principal, brand_id, body, catalogue, box)
    await _tell_gateways(redis, config.id)
    return service.shown(config, box, settings.gateway_base_url)


@router.get("")
async def list_channels(
    brand_id: UUID, paging: ThePaging, principal: Reader, database: TheDatabase, box: TheBox, settings: TheSettings
) -> Listed[ChannelRead]:
    """The brand's channel configs, removed ones too, newest first."""
    async with database.tenant(principal.tenant_id) as session:
        page = await repository.channels_page(session, brand_id, paging)
    items = [service.shown(config, box, settings.gateway_base_url) for config in page.items]
    return Listed(items=items, next_cursor=page.next_cursor)


@router.get("/{channel_config_id}")
async def read_channel(
    brand_id: UUID,
    channel_config_id: UUID,
    principal: Reader,
    database: TheDatabase,
    box: TheBox,
    settings: TheSettings,
) -> ChannelRead:
    """One channel config, without its credentials."""
    async with database.tenant(principal.tenant_id) as session:
        config = await repository.channel_of(session, brand_id, channel_config_id)
    return service.shown(config, box, settings.gateway_base_url)


@router.patch("/{channel_config_id}")
async def update_channel(
    brand_id: UUID,
    channel_config_id: UUID,
    body: ChannelUpdate,
    principal: Writer,
    database: TheDatabase,
    redis: TheRedis,
    catalogue: TheCatalogue,
    box: TheBox,
    settings: TheSettings,
) -> ChannelRead:
    """Rename, change credentials or settings, disable or enable again."""
    async with database.tenant(principal.tenant_id) as session:
        config = await service.update(session, brand_id, channel_config_id, body, catalogue, box)
    await _tell_gateways(redis, config.id)
    return service.shown(config, box, settings.gateway_base_url)


@router.delete("/{channel_config_id}", status_code=204)
async def remove_channel(
    brand_id: UUID, channel_config_id: UUID, principal: Writer, database: TheDatabase, redis: TheRedis
) -> None:
    """Stop the account and forget its credentials; its conversations stay."""
    async with database.tenant(principal.tenant_id) as session:
        await service.remove(session, brand_id, channel_config_id)
    await _tell_gateways(redis, channel_config_id)


async def _tell_gateways(redis: "Redis", channel_config_id: UUID) -> None:
    await streams.announce(redis, streams.CHANNELS_CHANGED, str(channel_config_id))
