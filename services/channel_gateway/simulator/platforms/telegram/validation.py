"""What the Bot API demands of a message before it takes it: content, limits, keyboards."""

import struct
from typing import Any
from urllib.parse import urlsplit

from services.channel_gateway.simulator.platforms.telegram import markup
from services.channel_gateway.simulator.platforms.telegram.errors import BotError, bad
from services.channel_gateway.simulator.platforms.telegram.requests import Call, Upload

TEXT_LIMIT, CAPTION_LIMIT = 4096, 1024
_PHOTO_BYTES = 10 * 1024 * 1024
_FILE_BYTES = 50 * 1024 * 1024
MEDIA = {
    "sendPhoto": "photo",
    "sendVideo": "video",
    "sendAudio": "audio",
    "sendVoice": "voice",
    "sendDocument": "document",
    "sendAnimation": "animation",
    "sendSticker": "sticker",
    "sendVideoNote": "video_note",
}
"""Methods that send one file, and the name of the file's parameter."""

_ACTIONS = frozenset(
    {
        *("typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice"),
        *("upload_document", "choose_sticker", "find_location", "record_video_note", "upload_video_note"),
    }
)
_OFFERED = (
    "👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤️\u200d🔥 🌚 🌭 💯 🤣 ⚡"
    " 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨\u200d💻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅"
    " 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷\u200d♂️ 🤷 🤷\u200d♀️ 😡"
)
REACTIONS = frozenset(_OFFERED.split())
"""What Telegram offers to react with; bots have no other."""


def words(call: Call, name: str, limit: int, *, required: bool) -> str:
    """A text or caption as people see it.

    Raises:
        BotError: it is missing, too long, or its mark-up is wrong.
    """
    text = call.text(name)
    mode = call.text("parse_mode").lower()
    if mode == "html":
        text = markup.plain(text)
    elif mode not in {"", "markdown", "markdownv2"}:
        raise bad("unsupported parse_mode")
    text = text.strip()
    if required and not text:
        raise bad("message text is empty")
    if markup.length(text) > limit:
        raise bad("message is too long" if required else "message caption is too long")
    return text


def file(call: Call) -> dict[str, Any]:
    """The file of a message, as the message will show it.

    Raises:
        BotError: there is none, or Telegram does not take it.
    """
    name = MEDIA[call.method]
    given = call.text(name)
    upload = call.uploads.get(given.removeprefix("attach://") if given.startswith("attach://") else name)
    if upload is None:
        return _elsewhere(call, name, given)
    if not upload.data:
        raise bad("file must be non-empty")
    if len(upload.data) > _FILE_BYTES:
        raise BotError(413, "Request Entity Too Large")
    if name == "photo":
        _picture(upload)
    return {"file_name": upload.filename, "mime_type": upload.media_type, "file_size": len(upload.data)}


def _elsewhere(call: Call, name: str, given: str) -> dict[str, Any]:
    """A file that Telegram has already, or fetches itself."""
    if not given:
        raise bad(f"there is no {name.replace('_', ' ')} in the request")
    if given.startswith(("http://", "https://")):
        if name == "video_note":
            raise bad("wrong type of the web page content")
        return {"file_name": urlsplit(given).path.rpartition("/")[2] or "file", "file_size": 1800}
    if len(given) < 10:
        raise bad("wrong remote file identifier specified: Wrong string length")
    return {"file_id": given, "file_size": 1800}


def _picture(upload: Upload) -> None:
    size = len(upload.data)
    if size > _PHOTO_BYTES:
        text = f"file of size {size} bytes is too big for a photo; the maximum size is {_PHOTO_BYTES} bytes"
        raise bad(text)
    if upload.data.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack(">II", upload.data[16:24]) if len(upload.data) >= 24 else (0, 0)
        if not width or not height or width + height > 10_000 or max(width, height) > 20 * min(width, height):
            raise bad("PHOTO_INVALID_DIMENSIONS")
    elif not upload.data.startswith((b"\xff\xd8", b"RIFF", b"GIF8")):
        raise bad("IMAGE_PROCESS_FAILED")


def reply_markup(call: Call) -> dict[str, Any] | None:
    """The keyboard beneath a message.

    Raises:
        BotError: a button is not one, or there are too many.
    """
    given = call.json("reply_markup")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise bad("object expected as reply markup")
    if "inline_keyboard" not in given:
        return None
    rows = given["inline_keyboard"]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad('field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays')
    if sum(map(len, rows)) > 100:
        raise bad("REPLY_MARKUP_TOO_LONG")
    for row in rows:
        for button in row:
            _button(button)
    return given


def _button(button: Any) -> None:
    if not isinstance(button, dict) or not str(button.get("text") or "").strip():
        raise bad('can\'t parse inline keyboard button: Field "text" must be of type String')
    if "url" in button:
        if urlsplit(str(button["url"])).scheme not in {"http", "https", "tg"}:
            raise bad(f"inline keyboard button URL '{button['url']}' is invalid: Unsupported URL protocol")
        return
    data = button.get("callback_data")
    if data is None:
        raise bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if not isinstance(data, str) or not 1 <= len(data.encode("utf-8", "replace")) <= 64:
        raise bad("BUTTON_DATA_INVALID")


def reply_parameters(call: Call) -> int | None:
    """The number of the message that is answered.

    Raises:
        BotError: it is no number.
    """
    given = call.json("reply_parameters")
    if given is None:
        return call.number("reply_to_message_id")
    number = given.get("message_id") if isinstance(given, dict) else None
    if not isinstance(number, int):
        raise bad("message identifier is not specified")
    return number


def action(call: Call) -> None:
    """What a chat action may be.

    Raises:
        BotError: it is none.
    """
    if call.text("action") not in _ACTIONS:
        raise bad("wrong parameter action in request")


def reaction(call: Call) -> None:
    """What a bot may react with: one emoji that Telegram offers, or none.

    Raises:
        BotError: it is something else.
    """
    given = call.json("reaction") or []
    if not isinstance(given, list) or len(given) > 1:
        raise bad("REACTIONS_TOO_MANY")
    for item in given:
        kind = item.get("type") if isinstance(item, dict) else None
        if kind not in {"emoji", "custom_emoji"} or (kind == "emoji" and item.get("emoji") not in REACTIONS):
            raise bad("REACTION_INVALID")
