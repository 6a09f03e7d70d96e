"""A brand's accounts on channels; their credentials are encrypted before they reach the database."""

from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.crypto import SecretBox
from packages.core.db.repository import get
from packages.core.db.tables.brands import Brand
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.channels import Finding
from packages.core.errors import Conflict
from services.orchestrator.auth.permissions import Principal
from services.orchestrator.channels import repository
from services.orchestrator.channels.catalogue import Catalogue
from services.orchestrator.channels.schemas import ChannelCreate, ChannelRead, ChannelUpdate, Check

REMOVED = "removed"
NEEDS_ATTENTION = "needs_attention"


async def create(
    session: AsyncSession,
    principal: Principal,
    brand_id: UUID,
    new: ChannelCreate,
    catalogue: Catalogue,
    box: SecretBox,
) -> ChannelConfig:
    """Connect an account.

    Raises:
        NotFound: no such brand. UnsupportedFormat: no such channel. InvalidInput: the credentials do not fit.
        Conflict: the account is connected already. Unavailable: the gateway, which knows the channels, is away.
    """
    await get(session, Brand, brand_id)
    entry = await catalogue.entry(new.channel)
    credentials = entry.checked(new.credentials)
    config = ChannelConfig(
        tenant_id=principal.tenant_id,
        brand_id=brand_id,
        channel=entry.channel,
        name=new.name,
        account_id=entry.account_id(credentials),
        credentials=box.seal(credentials),
        settings=new.settings,
    )
    session.add(config)
    await _flush(session)
    return config


async def update(
    session: AsyncSession,
    brand_id: UUID,
    channel_config_id: UUID,
    changes: ChannelUpdate,
    catalogue: Catalogue,
    box: SecretBox,
) -> ChannelConfig:
    """Change what is given. The catalogue is asked only where credentials matter.

    Raises:
        NotFound: no such config. InvalidInput: the credentials do not fit. Conflict: the account is connected already.
    """
    config = await repository.channel_of(session, brand_id, channel_config_id)
    if changes.name is not None:
        config.name = changes.name
    if changes.settings is not None:
        config.settings = changes.settings
    revived = changes.status == "active" and config.status_reason == REMOVED
    if changes.credentials is not None or revived:
        entry = await catalogue.entry(config.channel)
        credentials = entry.checked({**_kept(config, box), **(changes.credentials or {})})
        config.credentials = box.seal(credentials)
        config.account_id = entry.account_id(credentials)
    if changes.status is not None:
        config.status, config.status_reason = changes.status, None
    elif changes.credentials is not None and config.status != "disabled":
        config.status, config.status_reason = "active", None
    await _flush(session)
    return config


async def remove(session: AsyncSession, brand_id: UUID, channel_config_id: UUID) -> None:
    """Stop an account and forget its credentials. The row stays, because conversations hang on it.

    Raises:
        NotFound: no such config.
    """
    config = await repository.channel_of(session, brand_id, channel_config_id)
    config.status, config.status_reason = "disabled", REMOVED
    config.credentials, config.account_id = b"", None


async def note_findings(
    session: AsyncSession, brand_id: UUID, channel_config_id: UUID, findings: list[Finding]
) -> ChannelConfig:
    """Say in the config whether the platform takes it: what the platform refuses for good needs attention.

    Raises:
        NotFound: no such config.
    """
    config = await repository.channel_of(session, brand_id, channel_config_id)
    refused = next((finding.message for finding in findings if finding.definite and finding.level == "error"), None)
    if refused and config.status == "active":
        config.status, config.status_reason = NEEDS_ATTENTION, refused
    elif not refused and config.status == NEEDS_ATTENTION and any(finding.check == "token" for finding in findings):
        config.status, config.status_reason = "active", None
    await session.flush()
    return config


def shown(
    config: ChannelConfig, box: SecretBox, gateway_url: str, findings: list[Finding] | None = None
) -> ChannelRead:
    """A channel config without its secrets."""
    return ChannelRead(
        id=config.id,
        brand_id=config.brand_id,
        channel=config.channel,
        name=config.name,
        account_id=config.account_id,
        status=config.status,
        status_reason=config.status_reason,
        settings=config.settings,
        credentials_set=sorted(name for name, value in _kept(config, box).items() if value),
        webhook_url=f"{gateway_url}/webhooks/{config.channel}/{config.id}",
        created_at=config.created_at,
        checks=[Check.model_validate(finding) for finding in findings or ()],
    )


def _kept(config: ChannelConfig, box: SecretBox) -> dict[str, Any]:
    return box.open(config.credentials) if config.credentials else {}


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict("This account is connected already; remove it there first.") from error
