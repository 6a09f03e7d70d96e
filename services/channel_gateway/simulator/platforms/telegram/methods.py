"""The methods of the Bot API, once a bot is known: each takes a call and gives `result`, and what is to be recorded."""

import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.platforms.telegram import validation
from services.channel_gateway.simulator.platforms.telegram.errors import (
    CONFLICT,
    NOT_FOUND,
    BotError,
    bad,
    migrated,
    too_many,
)
from services.channel_gateway.simulator.platforms.telegram.files import Files
from services.channel_gateway.simulator.platforms.telegram.limits import Limits
from services.channel_gateway.simulator.platforms.telegram.requests import Call
from services.channel_gateway.simulator.platforms.telegram.state import State

_PORTS = {443, 80, 88, 8443}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_SECRET = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_MOST_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot as its token names it, and the channel config that it belongs to."""

    id: int
    account: Channel

    @property
    def user(self) -> dict[str, Any]:
        """The bot as a user of Telegram."""
        username = str(self.account.settings.get("bot_username") or f"parley_{self.id}_bot")
        return {"id": self.id, "is_bot": True, "first_name": self.account.name, "username": username}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call gives. `sent` is the text of a message that reached somebody, at `address`."""

    result: Any
    description: str | None = None
    address: str | None = None
    sent: str | None = None


class Methods:
    """All methods, over what Telegram knows."""

    def __init__(self, state: State, files: Files) -> None:
        self._state = state
        self._files = files
        self._limits = Limits()
        self._texts: OrderedDict[tuple[int, int, int], tuple[str, Any]] = OrderedDict()
        self._queries: OrderedDict[str, None] = OrderedDict()
        self.pending: dict[int, int] = {}
        self.last_error: dict[int, tuple[int, str]] = {}
        self._by_name: dict[str, Callable[[Bot, Call], Awaitable[Outcome]]] = {
            "getme": self._get_me,
            "setwebhook": self._set_webhook,
            "deletewebhook": self._delete_webhook,
            "getwebhookinfo": self._get_webhook_info,
            "getupdates": self._get_updates,
            "sendmessage": self._send_message,
            "sendmediagroup": self._send_media_group,
            "editmessagetext": self._edit_message_text,
            "deletemessage": self._delete_message,
            "sendchataction": self._send_chat_action,
            "setmessagereaction": self._set_message_reaction,
            "answercallbackquery": self._answer_callback_query,
            "readbusinessmessage": self._read_business_message,
            "getfile": self._get_file,
            **{name.lower(): self._send_file for name in validation.MEDIA},
        }

    def sends(self, method: str) -> bool:
        """Whether it is a send, which faults may strike."""
        return method.lower() in {"sendmessage", "sendmediagroup", *map(str.lower, validation.MEDIA)}

    async def run(self, bot: Bot, call: Call) -> Outcome:
        """Carry out a call. Methods' names are read in any case.

        Raises:
            BotError: Telegram refuses it.
        """
        method = self._by_name.get(call.method.lower())
        if method is None:
            raise BotError(*NOT_FOUND)
        return await method(bot, call)

    def expect_answer(self, query_id: str) -> None:
        """A button was tapped and spins until the bot answers."""
        self._queries[query_id] = None
        while len(self._queries) > _MOST_KEPT:
            self._queries.popitem(last=False)

    async def _get_me(self, bot: Bot, call: Call) -> Outcome:
        rights = {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
        return Outcome({**bot.user, **rights, "can_connect_to_business": True, "has_main_web_app": False})

    async def _set_webhook(self, bot: Bot, call: Call) -> Outcome:
        url, secret, allowed = call.text("url"), call.text("secret_token"), call.json("allowed_updates")
        if not url:
            return await self._delete_webhook(bot, call)
        _check_url(url)
        if len(secret) > 256:
            raise bad("secret token is too long")
        if not _SECRET.fullmatch(secret):
            raise bad("secret token contains unallowed characters")
        connections = call.number("max_connections") or 40
        webhook = {
            "url": url,
            "secret_token": secret,
            "allowed_updates": allowed,
            "max_connections": min(100, max(1, connections)),
        }
        known = self._state.webhook(bot.id) or {}
        same = all(known.get(key) == value for key, value in webhook.items())
        await self._state.set_webhook(bot.id, webhook)
        return Outcome(True, description="Webhook is already set" if same else "Webhook was set")

    async def _delete_webhook(self, bot: Bot, call: Call) -> Outcome:
        had = bool((self._state.webhook(bot.id) or {}).get("url"))
        await self._state.set_webhook(bot.id, {"url": "", "max_connections": 40})
        return Outcome(True, description="Webhook was deleted" if had else "Webhook is already deleted")

    async def _get_webhook_info(self, bot: Bot, call: Call) -> Outcome:
        webhook = self._state.webhook(bot.id) or {}
        info: dict[str, Any] = {
            "url": webhook.get("url", ""),
            "has_custom_certificate": False,
            "pending_update_count": self.pending.get(bot.id, 0),
        }
        if webhook.get("url"):
            info["max_connections"] = webhook.get("max_connections", 40)
        if failed := self.last_error.get(bot.id):
            info["last_error_date"], info["last_error_message"] = failed
        if webhook.get("allowed_updates"):
            info["allowed_updates"] = webhook["allowed_updates"]
        return Outcome(info)

    async def _get_updates(self, bot: Bot, call: Call) -> Outcome:
        if (self._state.webhook(bot.id) or {}).get("url"):
            raise BotError(*CONFLICT)
        return Outcome([])

    async def _send_message(self, bot: Bot, call: Call) -> Outcome:
        chat = self._open_chat(bot, call)
        text = validation.words(call, "text", validation.TEXT_LIMIT, required=True)
        return await self._sent(bot, call, chat, text, {"text": text})

    async def _send_file(self, bot: Bot, call: Call) -> Outcome:
        chat = self._open_chat(bot, call)
        name = next(name for method, name in validation.MEDIA.items() if method.lower() == call.method.lower())
        normal = Call(next(m for m, n in validation.MEDIA.items() if n == name), call.parameters, call.uploads)
        file = validation.file(normal)
        caption = validation.words(call, "caption", validation.CAPTION_LIMIT, required=False)
        number = await self._state.numbers()
        file = {"file_id": f"OUT{bot.id}-{number}", "file_unique_id": f"AQAD{number}", **file}
        if name == "photo":
            size = {key: file[key] for key in ("file_id", "file_unique_id", "file_size")}
            content: dict[str, Any] = {"photo": [size | {"width": 90, "height": 67}]}
        else:
            content = {name: file}
        content |= {"caption": caption} if caption else {}
        return await self._sent(bot, call, chat, caption or f"[{name}]", content)

    async def _send_media_group(self, bot: Bot, call: Call) -> Outcome:
        chat = self._open_chat(bot, call)
        media = call.json("media")
        if not isinstance(media, list) or not 2 <= len(media) <= 10:
            raise bad("wrong number of messages in the album")
        first = await self._state.numbers(len(media))
        messages = [self._message(bot, call, chat, first + place, {}) for place in range(len(media))]
        captions = [str(item["caption"]) for item in media if isinstance(item, dict) and item.get("caption")]
        return Outcome(messages, address=_address(call, chat), sent=" ".join(captions) or "[album]")

    async def _sent(self, bot: Bot, call: Call, chat: dict[str, Any], text: str, content: dict[str, Any]) -> Outcome:
        keyboard, answered = validation.reply_markup(call), validation.reply_parameters(call)
        if wait := self._limits.take(bot.id, chat["id"]):
            raise too_many(wait)
        number = await self._state.numbers()
        if answered is not None:
            content = content | {"reply_to_message": {"message_id": answered, "chat": _shown(chat), "date": 0}}
        if keyboard:
            content = content | {"reply_markup": keyboard}
        self._texts[bot.id, chat["id"], number] = (text, keyboard)
        while len(self._texts) > _MOST_KEPT:
            self._texts.popitem(last=False)
        return Outcome(self._message(bot, call, chat, number, content), address=_address(call, chat), sent=text)

    def _message(
        self, bot: Bot, call: Call, chat: dict[str, Any], number: int, content: dict[str, Any]
    ) -> dict[str, Any]:
        message = {"message_id": number, "from": bot.user, "chat": _shown(chat), "date": int(time.time()), **content}
        if business := call.text("business_connection_id"):
            message["business_connection_id"] = business
        return message

    async def _edit_message_text(self, bot: Bot, call: Call) -> Outcome:
        chat = self._open_chat(bot, call)
        number = call.number("message_id") or 0
        known = self._texts.get((bot.id, chat["id"], number))
        if known is None:
            raise bad("message to edit not found")
        text = validation.words(call, "text", validation.TEXT_LIMIT, required=True)
        keyboard = validation.reply_markup(call)
        if known == (text, keyboard):
            what = "specified new message content and reply markup are exactly the same as a current content and reply"
            raise bad(f"message is not modified: {what} markup of the message")
        self._texts[bot.id, chat["id"], number] = (text, keyboard)
        content = {"text": text, "edit_date": int(time.time())}
        return Outcome(self._message(bot, call, chat, number, content))

    async def _delete_message(self, bot: Bot, call: Call) -> Outcome:
        chat = self._open_chat(bot, call)
        if self._texts.pop((bot.id, chat["id"], call.number("message_id") or 0), None) is None:
            raise bad("message to delete not found")
        return Outcome(True)

    async def _send_chat_action(self, bot: Bot, call: Call) -> Outcome:
        self._open_chat(bot, call)
        validation.action(call)
        return Outcome(True)

    async def _set_message_reaction(self, bot: Bot, call: Call) -> Outcome:
        chat = self._open_chat(bot, call)
        if not call.number("message_id"):
            raise bad("message to react not found")
        validation.reaction(call)
        given = call.json("reaction") or [{}]
        return Outcome(True, address=_address(call, chat), sent=given[0].get("emoji") or "")

    async def _answer_callback_query(self, bot: Bot, call: Call) -> Outcome:
        if len(call.text("text")) > 200:
            raise bad("MESSAGE_TOO_LONG")
        if call.text("callback_query_id") not in self._queries:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        del self._queries[call.text("callback_query_id")]
        return Outcome(True)

    async def _read_business_message(self, bot: Bot, call: Call) -> Outcome:
        self._open_chat(bot, call)
        if not call.text("business_connection_id"):
            raise bad("business connection not found")
        return Outcome(True)

    async def _get_file(self, bot: Bot, call: Call) -> Outcome:
        return Outcome(self._files.look_up(call.text("file_id")))

    def _open_chat(self, bot: Bot, call: Call) -> dict[str, Any]:
        """The chat of a call, if the bot may write there: somebody has written to it, and it was not shut out."""
        given = call.text("chat_id")
        if not given:
            raise bad("chat_id is empty")
        if not re.fullmatch(r"-?\d{1,19}", given, re.ASCII):
            raise bad("chat not found")
        chat = self._state.chat(bot.id, int(given))
        if chat is None:
            raise bad("chat not found")
        if moved_to := chat.get("moved_to"):
            raise migrated(moved_to)
        if chat.get("blocked"):
            private = chat.get("type") == "private"
            what = "bot was blocked by the user" if private else f"bot was kicked from the {chat.get('type')} chat"
            raise BotError(403, f"Forbidden: {what}")
        return chat


def _address(call: Call, chat: dict[str, Any]) -> str:
    business, thread = call.text("business_connection_id"), call.text("message_thread_id")
    return f"{chat['id']}@{business}" if business else f"{chat['id']}/{thread}" if thread else str(chat["id"])


def _shown(chat: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in chat.items() if key not in {"blocked", "moved_to"}}


def _check_url(url: str) -> None:
    """https at four ports; plain http to this machine alone, as a Bot API server in local mode allows it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise bad("bad webhook: Failed to parse URL") from None
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return
    if parts.scheme != "https" or not parts.hostname:
        raise bad("bad webhook: An HTTPS URL must be provided for webhook")
    if (port or 443) not in _PORTS:
        raise bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
