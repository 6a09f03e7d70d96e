"""Who wrote a message, where, to whom, and what it answers: all of it but the content."""

from dataclasses import dataclass, replace

from packages.core.domain.messages import Sender
from services.channel_gateway.channels.telegram import addresses
from services.channel_gateway.channels.telegram.reading import JSON, found, identifier, name, number, obj, objects, text


@dataclass(frozen=True, slots=True)
class Envelope:
    """`own`: the bot itself sent it. `echo`: the owner of the business account did. `sender` is the customer."""

    external_id: str
    sender: Sender
    conversation_id: str | None
    addressed: bool
    reply_to: str | None
    echo: bool
    own: bool
    extra: JSON


def person(who: JSON) -> Sender | None:
    """A user, or a group or channel that speaks as itself."""
    own_id = identifier(who.get("id"))
    return Sender(external_id=own_id, name=name(who), username=text(who.get("username"))) if own_id else None


def speaker(own_chat: JSON, chat: JSON) -> Sender | None:
    """A group or channel as the author. Where a group speaks in itself, an administrator hides behind it; they get an
    id of their own, or they would pass for a person with whom the bot is alone."""
    author = person(own_chat)
    if author and author.external_id == identifier(chat.get("id")) and chat.get("type") != "private":
        return replace(author, external_id=f"{author.external_id}:admins")
    return author


def envelope(message: JSON) -> Envelope | str:
    """The envelope of a message; what it lacks, where it cannot be placed."""
    chat = obj(message.get("chat"))
    chat_id, number_ = identifier(chat.get("id")), number(message.get("message_id"))
    if chat_id is None or number_ is None:
        return "without chat or number"
    business = text(message.get("business_connection_id"))
    author = _author(message, chat)
    customer, echo = author, False
    private = chat.get("type") == "private"
    if business and private and author.external_id != chat_id:
        customer, echo = person(chat) or author, True
    topic = message.get("is_topic_message") is True
    thread = identifier(message.get("message_thread_id")) if topic and not private else None
    conversation = None if private and not business else addresses.write(chat_id, thread, business)
    return Envelope(
        external_id=addresses.message_id(chat_id, number_, business),
        sender=customer,
        conversation_id=conversation,
        addressed=bool(business) or (conversation is not None and _addressed(message)),
        reply_to=_reply_to(message, chat_id, business),
        echo=echo,
        own="sender_business_bot" in message,
        extra=_extra(message, business),
    )


def _author(message: JSON, chat: JSON) -> Sender:
    """Anonymous administrators and channels write as `sender_chat`; `from` is a stand-in then."""
    author = speaker(obj(message.get("sender_chat")), chat) or person(obj(message.get("from"))) or person(chat)
    assert author
    return author


def _replied(message: JSON) -> JSON:
    """The message that this one answers. In a topic it names the topic's first message even if nobody answered it."""
    replied = obj(message.get("reply_to_message"))
    return {} if "forum_topic_created" in replied else replied


def _reply_to(message: JSON, chat_id: str, business: str | None) -> str | None:
    number_ = number(_replied(message).get("message_id"))
    return addresses.message_id(chat_id, number_, business) if number_ is not None else None


def _addressed(message: JSON) -> bool:
    """Whether words in a group are meant for a bot: an answer to one, a mention of one. (Commands are told apart by
    their content.) The update does not say which bot we are; bots' names end in "bot"."""
    if obj(_replied(message).get("from")).get("is_bot") is True:
        return True
    words = text(message.get("text")) or text(message.get("caption")) or ""
    units = words.encode("utf-16-le", "surrogatepass")
    for entity in objects(message.get("entities")) + objects(message.get("caption_entities")):
        if entity.get("type") == "text_mention" and obj(entity.get("user")).get("is_bot") is True:
            return True
        start, length = number(entity.get("offset")), number(entity.get("length"))
        if entity.get("type") != "mention" or start is None or length is None or not 0 <= start < len(units):
            continue
        mention = units[2 * start : 2 * (start + length)].decode("utf-16-le", "replace")
        if mention.lower().endswith("bot"):
            return True
    return False


def _extra(message: JSON, business: str | None) -> JSON:
    origin = obj(message.get("forward_origin"))
    source = obj(origin.get("sender_user")) or obj(origin.get("chat")) or obj(origin.get("sender_chat"))
    source = source or obj(message.get("forward_from")) or obj(message.get("forward_from_chat"))
    forwarded = bool(origin or source) or "forward_date" in message
    return found(
        forwarded=forwarded,
        forwarded_from=name(source) or text(origin.get("sender_user_name")) or text(message.get("forward_sender_name")),
        media_group_id=identifier(message.get("media_group_id")),
        quote=text(obj(message.get("quote")).get("text")),
        external_reply="external_reply" in message,
        reply_to_story="reply_to_story" in message,
        thread=identifier(message.get("message_thread_id")),
        business_connection=business,
        links=[url for entity in objects(message.get("entities")) if (url := text(entity.get("url")))],
        language=text(obj(message.get("from")).get("language_code")),
    )
