"""Messages that did not get through: seen, and sent after all."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.repository import Page, get
from packages.core.db.tables.channels import ChannelConfig
from packages.core.db.tables.deliveries import Delivery
from packages.core.errors import Conflict
from services.orchestrator.deliveries import repository
from services.orchestrator.deliveries.schemas import DeliveryRead, Requeued, RequeueMany
from services.orchestrator.paging import Listed


async def listed(session: AsyncSession, found: Page[Delivery]) -> Listed[DeliveryRead]:
    """A page of deliveries with what their messages say."""
    messages = await repository.messages(session, [row.id for row in found.items])
    items = [_shown(row, messages[row.id]) for row in found.items if row.id in messages]
    return Listed(items=items, next_cursor=found.next_cursor)


async def requeue(session: AsyncSession, delivery_id: UUID) -> DeliveryRead:
    """Send a message after all.

    Raises:
        NotFound: no such delivery. Conflict: it neither failed nor is it held.
    """
    row = await get(session, Delivery, delivery_id)
    if not await repository.requeue(session, delivery_id):
        raise Conflict(f"Only a message that failed or is held can be sent again; this one is {row.state}.")
    await session.refresh(row)
    return _shown(row, (await repository.messages(session, [row.id]))[row.id])


async def requeue_many(session: AsyncSession, wanted: RequeueMany) -> Requeued:
    """Send all failed messages of an account or a cause after all.

    Raises:
        NotFound: no such channel config.
    """
    if wanted.channel_config_id is not None:
        await get(session, ChannelConfig, wanted.channel_config_id)
    count = await repository.requeue_many(session, channel_config_id=wanted.channel_config_id, code=wanted.code)
    return Requeued(count=count)


def _shown(row: Delivery, message: object) -> DeliveryRead:
    said = {name: getattr(message, name) for name in ("author", "kind", "status", "text")}
    return DeliveryRead.model_validate({**row.model_dump(), **said}, from_attributes=False)
