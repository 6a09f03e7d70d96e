"""Channel configs, and events as gateways make them."""

import itertools
from datetime import UTC, datetime
from uuid import UUID

from packages.core.crypto import SecretBox
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.messages import DeliveryStatus, InboundEvent, InboundMessage, Sender, StatusUpdate
from tests.factories.accounts import TenantWithBrand

SECRET_KEY = "a-test-key-of-more-than-32-characters!"
_numbers = itertools.count(1)


async def make_channel(database: Database, owner: TenantWithBrand, kind: str = "whatsapp") -> UUID:
    """An account of the brand on a channel."""
    number = next(_numbers)
    row = ChannelConfig(
        tenant_id=owner.tenant_id,
        brand_id=owner.brand_id,
        channel=kind,
        name=f"{kind} {number}",
        account_id=f"1000000{number:08d}" if kind != "webchat" else None,
        credentials=SecretBox(SECRET_KEY).seal({}),
    )
    async with database.tenant(owner.tenant_id) as session:
        session.add(row)
    return row.id


def message_event(
    owner: TenantWithBrand,
    channel_config_id: UUID,
    text: str = "Where is my order?",
    *,
    sender: str = "15550001",
    **more: object,
) -> InboundEvent:
    """A text message. `external_id` is made up unless given."""
    external_id = str(more.pop("external_id", f"wamid.{next(_numbers)}"))
    message = InboundMessage(
        channel_config_id=str(channel_config_id),
        external_id=external_id,
        sender=Sender(external_id=sender, name="Robin"),
        text=text,
        sent_at=datetime.now(UTC),
        **more,  # type: ignore[arg-type]
    )
    return InboundEvent(
        tenant_id=str(owner.tenant_id),
        channel_config_id=str(channel_config_id),
        external_id=external_id,
        kind="message",
        message=message,
        raw={"id": external_id},
        received_at=datetime.now(UTC),
    )


def status_event(
    owner: TenantWithBrand,
    channel_config_id: UUID,
    status: DeliveryStatus,
    *,
    external_id: str = "wamid.out",
    message_id: UUID | str | None = None,
    error_code: str | None = None,
) -> InboundEvent:
    """What the platform says of a message that we sent."""
    update = StatusUpdate(
        external_id=external_id,
        status=status,
        correlation_id=str(message_id) if message_id else None,
        error_code=error_code,
        error_message="as the platform put it" if error_code else None,
    )
    return InboundEvent(
        tenant_id=str(owner.tenant_id),
        channel_config_id=str(channel_config_id),
        external_id=f"{external_id}:{status}",
        kind="status",
        status=update,
    )
