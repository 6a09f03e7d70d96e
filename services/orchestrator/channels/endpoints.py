"""A brand's accounts on channels."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from redis.asyncio import Redis

from packages.core import streams
from packages.core.crypto import SecretBox
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.tenants import Role
from packages.core.errors import Conflict
from services.orchestrator.auth.permissions import Principal, Scope, require
from services.orchestrator.channels import diagnosis, repository, service
from services.orchestrator.channels.catalogue import Catalogue
from services.orchestrator.channels.schemas import ChannelCreate, ChannelRead, ChannelUpdate, Check, Diagnosis
from services.orchestrator.channels.setup import Setup, TemplateRead
from services.orchestrator.paging import Listed, ThePaging
from services.orchestrator.parts import TheDatabase, TheRedis, part
from services.orchestrator.settings import OrchestratorSettings

router = APIRouter(prefix="/v1/brands/{brand_id}/channels", tags=["channels"])
Reader = Annotated[Principal, require(Role.VIEWER, Scope.CHANNELS_READ)]
Writer = Annotated[Principal, require(Role.TENANT_ADMIN, Scope.CHANNELS_WRITE)]
TheBox = Annotated[SecretBox, Depends(part(SecretBox))]
TheCatalogue = Annotated[Catalogue, Depends(part(Catalogue))]
TheSetup = Annotated[Setup, Depends(part(Setup))]
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
    setup: TheSetup,
) -> ChannelRead:
    """Connect an account of the brand; `webhook_url` is what the platform is to call.

    The credentials are checked with the platform, and the webhook is registered there where the platform lets us;
    `checks` says how that went. An account that the platform refuses is kept, and needs attention.
    """
    async with database.tenant(principal.tenant_id) as session:
        config = await service.create(session, principal, brand_id, body, catalogue, box)
    return await _connected(config, Installed(database, redis, setup, box, settings))


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
    setup: TheSetup,
) -> ChannelRead:
    """Rename, change credentials or settings, disable or enable again."""
    async with database.tenant(principal.tenant_id) as session:
        config = await service.update(session, brand_id, channel_config_id, body, catalogue, box)
    if config.status != "disabled" and (body.credentials is not None or body.settings is not None or body.status):
        return await _connected(config, Installed(database, redis, setup, box, settings))
    await _tell_gateways(redis, config.id)
    return service.shown(config, box, settings.gateway_base_url)


@router.post("/{channel_config_id}/connect")
async def connect_again(
    brand_id: UUID,
    channel_config_id: UUID,
    principal: Writer,
    database: TheDatabase,
    redis: TheRedis,
    box: TheBox,
    settings: TheSettings,
    setup: TheSetup,
) -> ChannelRead:
    """Check the credentials and register the webhook again, after something was put right at the platform."""
    async with database.tenant(principal.tenant_id) as session:
        config = await repository.channel_of(session, brand_id, channel_config_id)
    if config.status == "disabled":
        raise Conflict("This channel config is disabled; set its status to active first.")
    return await _connected(config, Installed(database, redis, setup, box, settings))


@router.get("/{channel_config_id}/diagnosis")
async def diagnose_channel(
    brand_id: UUID,
    channel_config_id: UUID,
    principal: Reader,
    database: TheDatabase,
    settings: TheSettings,
    setup: TheSetup,
) -> Diagnosis:
    """What is right and wrong with the account, and what to do about it."""
    async with database.tenant(principal.tenant_id) as session:
        config = await repository.channel_of(session, brand_id, channel_config_id)
        findings = await diagnosis.known(session, config, settings.gateway_base_url)
    if config.status != "disabled":
        asked = await setup.diagnose(config.id)
        named = {finding.check for finding in asked}
        findings = [finding for finding in findings if finding.check not in named] + asked
    return Diagnosis(level=diagnosis.worst(findings), checks=[Check.model_validate(finding) for finding in findings])


@router.get("/{channel_config_id}/templates")
async def list_templates(
    brand_id: UUID, channel_config_id: UUID, principal: Reader, database: TheDatabase, setup: TheSetup
) -> Listed[TemplateRead]:
    """The templates that the platform has approved for the account, or not; empty where a channel has none."""
    async with database.tenant(principal.tenant_id) as session:
        config = await repository.channel_of(session, brand_id, channel_config_id)
    return Listed(items=await setup.templates(config.id), next_cursor=None)


@router.delete("/{channel_config_id}", status_code=204)
async def remove_channel(
    brand_id: UUID,
    channel_config_id: UUID,
    principal: Writer,
    database: TheDatabase,
    redis: TheRedis,
    setup: TheSetup,
) -> None:
    """Stop the account and forget its credentials; its conversations stay."""
    async with database.tenant(principal.tenant_id) as session:
        config = await repository.channel_of(session, brand_id, channel_config_id)
    if config.status != "disabled":
        await setup.disconnect(config.id)
    async with database.tenant(principal.tenant_id) as session:
        await service.remove(session, brand_id, channel_config_id)
    await _tell_gateways(redis, channel_config_id)


@dataclass(frozen=True, slots=True)
class Installed:
    """What connecting an account takes."""

    database: Database
    redis: "Redis"
    setup: Setup
    box: SecretBox
    settings: OrchestratorSettings


async def _connected(config: ChannelConfig, on: Installed) -> ChannelRead:
    """Connect a committed config with its platform, and say how that went."""
    await _tell_gateways(on.redis, config.id)
    findings = await on.setup.connect(config.id)
    async with on.database.tenant(config.tenant_id) as session:
        config = await service.note_findings(session, config.brand_id, config.id, findings)
    await _tell_gateways(on.redis, config.id)
    return service.shown(config, on.box, on.settings.gateway_base_url, findings)


async def _tell_gateways(redis: "Redis", channel_config_id: UUID) -> None:
    await streams.announce(redis, streams.CHANNELS_CHANGED, str(channel_config_id))
