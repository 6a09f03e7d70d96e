"""What agents do with a conversation. Every change of its owner voids bot replies under way (docs/adr/0004)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.repositories import deliveries, media
from packages.core.db.repository import get
from packages.core.db.tables.accounts import User
from packages.core.db.tables.conversations import Conversation, MessageLog
from packages.core.domain.conversations import ConversationStatus, IllegalTransition, Owner, change_owner
from packages.core.domain.messages import Attachment, Button, OutboundResponse, Template
from packages.core.domain.tenants import Role
from packages.core.errors import Conflict
from services.orchestrator.auth.permissions import Principal
from services.orchestrator.conversations import notices, repository
from services.orchestrator.conversations.schemas import AttachmentSend, MessageCreate, TemplateSend

REPUBLISH_SECONDS = 15.0
"""After this long, a message that was lost on its way to the stream is put onto it again."""


@dataclass(slots=True)
class Change:
    """A conversation after a change, and the messages to publish once it is committed."""

    conversation: Conversation
    outbound: list[OutboundResponse] = field(default_factory=list)
    message: MessageLog | None = None


async def reply(session: AsyncSession, principal: Principal, conversation_id: UUID, said: MessageCreate) -> Change:
    """An agent's message to the customer. Who answers a conversation that the bot holds takes it over by that.

    Raises:
        NotFound: no such conversation. Conflict: it is resolved, or a file is no unsent upload of it.
    """
    change = await _open(session, conversation_id)
    if change.conversation.owner != Owner.HUMAN:
        await _take_over(session, principal, change, principal.user_id, principal.identity.name)
    response = await _queue(
        session,
        change.conversation,
        said.text,
        author="agent",
        author_id=principal.user_id,
        attachments=await _files(session, change.conversation, said.attachments),
        buttons=[Button(**button.model_dump()) for button in said.buttons],
        template=_template(said.template) if said.template else None,
    )
    await _attach(session, response)
    await repository.mark_answered(session, conversation_id, UUID(response.message_id))
    change.outbound.append(response)
    change.message = await get(session, MessageLog, response.message_id)
    return change


async def note(session: AsyncSession, principal: Principal, conversation_id: UUID, words: str) -> Change:
    """Words for colleagues only.

    Raises:
        NotFound: no such conversation.
    """
    conversation = await get(session, Conversation, conversation_id)
    message = MessageLog(
        tenant_id=conversation.tenant_id,
        conversation_id=conversation.id,
        direction="internal",
        author="agent",
        author_id=principal.user_id,
        kind="note",
        text=words,
    )
    session.add(message)
    await session.flush()
    await session.refresh(message)
    return Change(conversation, message=message)


async def take_over(session: AsyncSession, principal: Principal, conversation_id: UUID) -> Change:
    """The caller answers from here; the bot is silent at once. Harmless to repeat.

    Raises:
        NotFound: no such conversation. Conflict: it is resolved.
    """
    change = await _open(session, conversation_id)
    if change.conversation.owner == Owner.HUMAN and change.conversation.assignee_id == principal.user_id:
        return change
    await _take_over(session, principal, change, principal.user_id, principal.identity.name)
    return change


async def assign(session: AsyncSession, principal: Principal, conversation_id: UUID, assignee_id: UUID) -> Change:
    """Give the conversation to a colleague.

    Raises:
        NotFound: no such conversation or user. Conflict: it is resolved, or the user cannot answer.
    """
    change = await _open(session, conversation_id)
    assignee = await get(session, User, assignee_id)
    if not assignee.is_active or not Role(assignee.role).includes(Role.AGENT):
        raise Conflict("Only an active agent can be given a conversation.")
    if change.conversation.assignee_id != assignee.id or change.conversation.owner != Owner.HUMAN:
        await _take_over(session, principal, change, assignee.id, assignee.name or assignee.email)
    return change


async def hand_back(session: AsyncSession, conversation_id: UUID) -> Change:
    """The bot answers again; first, what the customer wrote and nobody answered. Harmless to repeat.

    Raises:
        NotFound: no such conversation. Conflict: it is resolved.
    """
    change = await _open(session, conversation_id)
    conversation = change.conversation
    if conversation.owner == Owner.BOT:
        return change
    told = conversation.owner == Owner.HUMAN
    _change_owner(conversation, Owner.BOT, "handed back")
    conversation.assignee_id = None
    await session.flush()
    if told:
        await _tell(session, change, notices.bot_is_back(await repository.brand_of(session, conversation)))
    await repository.make_due(session, conversation.id)
    return change


async def resolve(session: AsyncSession, conversation_id: UUID) -> Change:
    """Done. Whatever the customer writes next begins a new conversation. Harmless to repeat.

    Raises:
        NotFound: no such conversation.
    """
    conversation = await repository.locked(session, conversation_id)
    if conversation.status == ConversationStatus.OPEN:
        conversation.status = str(ConversationStatus.RESOLVED)
        conversation.offered_until = None
        conversation.epoch += 1
        await session.flush()
        await repository.drop_turn(session, conversation.id)
    return Change(conversation)


async def _open(session: AsyncSession, conversation_id: UUID) -> Change:
    conversation = await repository.locked(session, conversation_id)
    if conversation.status != ConversationStatus.OPEN:
        raise Conflict("This conversation is resolved; the customer's next message begins a new one.")
    return Change(conversation)


async def _take_over(
    session: AsyncSession, principal: Principal, change: Change, assignee_id: UUID | None, name: str
) -> None:
    conversation = change.conversation
    _change_owner(conversation, Owner.HUMAN, f"taken by {principal.identity.name}")
    conversation.assignee_id = assignee_id
    await session.flush()
    await repository.drop_turn(session, conversation.id)
    brand = await repository.brand_of(session, conversation)
    await _tell(session, change, notices.person_joined(brand, name if assignee_id else brand.name))


def _change_owner(conversation: Conversation, wanted: Owner, reason: str) -> None:
    try:
        conversation.owner = str(change_owner(Owner(conversation.owner), wanted))
    except IllegalTransition as error:
        raise Conflict(f"The conversation is {conversation.owner}'s; it cannot become {wanted}'s.") from error
    conversation.owner_reason = reason
    conversation.offered_until = None
    conversation.epoch += 1


async def _tell(session: AsyncSession, change: Change, words: str) -> None:
    if notices.wanted(await repository.brand_of(session, change.conversation)):
        change.outbound.append(await _queue(session, change.conversation, words, author="system"))


async def _files(
    session: AsyncSession, conversation: Conversation, files: Sequence[AttachmentSend]
) -> list[Attachment]:
    """The files as the outbox names them."""
    uploads = [item.media_id for item in files if item.media_id]
    found = await media.by_id(session, conversation.tenant_id, uploads) if uploads else {}
    return [_upload(item, found) if item.media_id else _remote(item) for item in files]


def _upload(item: AttachmentSend, found: Mapping[UUID, Any]) -> Attachment:
    assert item.media_id
    row = found.get(item.media_id) or _refuse_upload(item.media_id)
    return Attachment(
        kind=row.kind,
        media_id=str(row.id),
        media_type=row.media_type,
        filename=row.filename,
        size=row.size,
        caption=item.caption or None,
    )


def _remote(item: AttachmentSend) -> Attachment:
    assert item.kind
    return Attachment(kind=item.kind, url=item.url, filename=item.filename, caption=item.caption or None)


def _template(wanted: TemplateSend) -> Template:
    return Template(
        name=wanted.name,
        language=wanted.language,
        body=tuple(wanted.body),
        named=wanted.named,
        header=tuple(wanted.header),
        buttons=tuple(wanted.buttons),
    )


async def _attach(session: AsyncSession, response: OutboundResponse) -> None:
    """Make the uploads the message's own; the transaction ends with the refusal of one that is not to be had."""
    wanted = [UUID(item.media_id) for item in response.attachments if item.media_id]
    if not wanted:
        return
    attached = await media.attach(session, UUID(response.conversation_id), UUID(response.message_id), wanted)
    for missing in [media_id for media_id in wanted if media_id not in attached]:
        _refuse_upload(missing)


def _refuse_upload(media_id: UUID) -> NoReturn:
    raise Conflict(
        "A file is no unsent upload of this conversation; upload it again.", details={"media_id": str(media_id)}
    )


async def _queue(
    session: AsyncSession,
    conversation: Conversation,
    words: str,
    *,
    author: str,
    author_id: UUID | None = None,
    attachments: Sequence[Attachment] = (),
    buttons: Sequence[Button] = (),
    template: Template | None = None,
) -> OutboundResponse:
    draft = deliveries.Draft(
        tenant_id=conversation.tenant_id,
        brand_id=conversation.brand_id,
        conversation_id=conversation.id,
        channel_config_id=conversation.channel_config_id,
        recipient=conversation.recipient,
        author=author,
        author_id=author_id,
        text=words,
        attachments=attachments,
        buttons=buttons,
        template=template,
    )
    return await deliveries.queue(session, draft, republish_seconds=REPUBLISH_SECONDS)
