"""Sending through the Bot API: one part, one message."""

import mimetypes
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    LinkPreviewOptions,
    Message,
    ReactionTypeEmoji,
    ReplyParameters,
)
from telegram.constants import ReactionEmoji
from telegram.error import TelegramError

from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Button
from services.channel_gateway.channels import File, Part, SendResult
from services.channel_gateway.channels.telegram import addresses
from services.channel_gateway.channels.telegram.addresses import Address
from services.channel_gateway.channels.telegram.answers import (
    explained,
    is_bad_markup,
    is_bad_picture,
)
from services.channel_gateway.channels.telegram.bot import Unanswered, ask, bot_of

CALLBACK_BYTES = 64
_ROW_CHARACTERS = 24
_ROW_BUTTONS = 3
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_VOICE = {"audio/ogg", "audio/opus"}
_MUSIC = {"audio/mpeg", "audio/mp3", "audio/mp4", "audio/m4a", "audio/x-m4a"}
_STICKERS = {"image/webp", "video/webm", "application/x-tgsticker"}

_VARIATION = "\ufe0f"  # keyboards put it behind some emoji (❤️), where Telegram's list has the bare sign
_REACTIONS = {str(emoji).replace(_VARIATION, ""): str(emoji) for emoji in ReactionEmoji}


async def send(part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
    """Send one part.

    Mark-up that Telegram does not parse is sent again as plain words, and a picture that it does not take as a
    picture as a document: the first attempt was refused as a whole, so nothing shows twice.
    """
    address = addresses.read(part.recipient)
    if address is None:
        return _failed("bad_address", "The recipient is no Telegram chat.")
    if part.template is not None:
        return _failed("no_templates", "Telegram has no message templates.")
    try:
        bot = bot_of(account, http)
        if part.reaction is not None:
            return await _react(bot, part, address)
        return await _deliver(bot, part, address)
    except TelegramError as error:
        return explained(error)


async def _deliver(bot: Bot, part: Part, address: Address) -> SendResult:
    data = await part.file.read() if part.file else None
    marked, as_document = part.text != part.plain, False
    while True:
        try:
            message = await ask(_request(bot, part, address, data, marked=marked, as_document=as_document))
        except TelegramError as error:
            if marked and is_bad_markup(error):
                marked = False
                continue
            if part.file and part.file.kind == "image" and not as_document and is_bad_picture(error):
                as_document = True
                continue
            raise
        if not isinstance(message, Message):
            raise Unanswered("the answer names no message")
        external_id = addresses.message_id(str(message.chat.id), message.message_id, address.business)
        return SendResult(outcome="sent", external_id=external_id)


def _request(
    bot: Bot, part: Part, address: Address, data: bytes | None, *, marked: bool, as_document: bool
) -> Awaitable[Message]:
    """The one call of the Bot API that shows the part."""
    common: dict[str, Any] = {
        "chat_id": address.chat,
        "message_thread_id": address.thread,
        "business_connection_id": address.business,
        "parse_mode": "HTML" if marked else None,
        "reply_markup": keyboard(part.buttons),
        "reply_parameters": _reply(part, address),
    }
    words = part.text if marked else part.plain
    if part.file is None or data is None:
        return bot.send_message(text=words, link_preview_options=_NO_PREVIEW, **common)
    method, field = ("send_document", "document") if as_document else method_of(part.file)
    upload = InputFile(data, filename=_filename(part.file))
    if field == "sticker":
        del common["parse_mode"]
    else:
        common["caption"] = words or None
    call: Callable[..., Awaitable[Message]] = getattr(bot, method)
    return call(**{field: upload}, **common)


def _filename(file: File) -> str:
    """A name with an ending, by which Telegram takes the type; without what would end a line of the form."""
    name = "".join(character if character.isprintable() else "_" for character in file.filename)
    return name or f"file{mimetypes.guess_extension(file.media_type) or ''}"


def method_of(file: File) -> tuple[str, str]:
    """The Bot's method for a file, and the method's name for the file; what fits no other goes as a document."""
    kind, media_type = file.kind, file.media_type.partition(";")[0].strip().lower()
    if kind == "image" and media_type == "image/gif":
        return "send_animation", "animation"
    if kind == "image" and media_type in {"image/jpeg", "image/png", "image/webp"}:
        return "send_photo", "photo"
    if kind == "video" and media_type == "video/mp4":
        return "send_video", "video"
    if kind == "audio" and media_type in _VOICE:
        return "send_voice", "voice"
    if kind == "audio" and media_type in _MUSIC:
        return "send_audio", "audio"
    if kind == "sticker" and media_type in _STICKERS:
        return "send_sticker", "sticker"
    return "send_document", "document"


def keyboard(buttons: tuple[Button, ...]) -> InlineKeyboardMarkup | None:
    """Inline buttons: short ones side by side, long ones below each other."""
    rows: list[list[InlineKeyboardButton]] = []
    room = 0
    for button in buttons:
        if not rows or len(rows[-1]) >= _ROW_BUTTONS or len(button.title) > room:
            rows.append([])
            room = _ROW_CHARACTERS
        rows[-1].append(_inline(button))
        room -= len(button.title)
    return InlineKeyboardMarkup(rows) if rows else None


def _inline(button: Button) -> InlineKeyboardButton:
    if button.url:
        return InlineKeyboardButton(button.title, url=button.url)
    return InlineKeyboardButton(button.title, callback_data=callback_data(button))


def callback_data(button: Button) -> str:
    """What comes back on a tap. A payload over 64 bytes cannot: then the title does, as if there were no payload."""
    if button.payload and len(button.payload.encode("utf-8", "replace")) <= CALLBACK_BYTES:
        return button.payload
    return button.title.encode("utf-8", "replace")[:CALLBACK_BYTES].decode("utf-8", "ignore")


def _reply(part: Part, address: Address) -> ReplyParameters | None:
    """What is answered; an answered message that is gone is no reason not to answer."""
    number = addresses.number_of(part.reply_to, address)
    return ReplyParameters(number, allow_sending_without_reply=True) if number is not None else None


async def _react(bot: Bot, part: Part, address: Address) -> SendResult:
    """Set or take back the bot's one reaction on a message."""
    assert part.reaction
    number = addresses.number_of(part.reaction.target, address)
    if number is None:
        return _failed("no_target", "The message to react to is not of this chat.")
    if address.business:
        return _failed("no_reactions", "Bots cannot react in the chats of a business account.")
    emoji = part.reaction.emoji
    if emoji:
        emoji = _REACTIONS.get(emoji.replace(_VARIATION, ""), emoji)
    await bot.set_message_reaction(address.chat, number, [ReactionTypeEmoji(emoji)] if emoji else [])
    return SendResult(outcome="sent")


def _failed(code: str, reason: str) -> SendResult:
    return SendResult(outcome="failed", code=code, reason=reason)
