"""Telegram's side: posts updates in each chat's order and repeats them, and serves the Bot API and customers' files."""

import asyncio
import secrets
import time
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from packages.core.crypto import same
from packages.core.domain.channels import Channel
from packages.core.errors import NotFound, Unavailable
from services.channel_gateway.simulator.courier import Receipt
from services.channel_gateway.simulator.faults import Faults
from services.channel_gateway.simulator.platforms import CustomerMessage, Line, Platform, Stage, Writing
from services.channel_gateway.simulator.platforms.telegram import requests, updates
from services.channel_gateway.simulator.platforms.telegram.errors import NOT_FOUND, UNAUTHORIZED, BotError, ordered
from services.channel_gateway.simulator.platforms.telegram.files import Files
from services.channel_gateway.simulator.platforms.telegram.methods import Bot, Methods, Outcome
from services.channel_gateway.simulator.platforms.telegram.requests import Call
from services.channel_gateway.simulator.platforms.telegram.state import State
from services.channel_gateway.simulator.posting import post
from services.channel_gateway.simulator.records import Errand, Sent, Written

DROP_AFTER = 24 * 3600.0
"""Seconds after which an update that nobody took is dropped."""

_AFTER_ACCEPTANCE = frozenset({"timeout", "reset_after"})
_HISTORY = 20_000


class Telegram(Platform):
    """The Bot API for all Telegram channel configs."""

    kind = "telegram"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._state = State(stage.records)
        self._files = Files(stage.settings.data_dir / "simulator" / "telegram")
        self._methods = Methods(self._state, self._files)

    async def start(self) -> None:
        """Remember webhooks, chats and numbers."""
        await self._state.load()

    def routes(self) -> list[BaseRoute]:
        """The Bot API and its files."""
        return [
            Route("/file/bot{token}/{path:path}", self._file, methods=["GET"]),
            Route("/bot{token}/{method}", self._call, methods=["GET", "POST"]),
        ]

    async def write(self, account: Channel, message: CustomerMessage) -> Writing:
        """One update per line. Updates of a chat keep their order; `reorder` mixes those of different chats."""
        written, errands = [], []
        due = time.time() + message.delay_ms / 1000
        for line in message.lines[::-1] if message.reorder else message.lines:
            own = account
            if line.channel_config_id not in (None, account.id):
                own = await self.stage.accounts.get(self.kind, str(line.channel_config_id))
            bot = _bot(own)
            draft = await self._draft(bot, line)
            external_id = f"{draft.chat['id']}:{draft.number}"
            sender = str(updates.person_of(line)["id"])
            written.append(
                Written(
                    channel=self.kind,
                    channel_config_id=own.id,
                    sender=sender,
                    text=line.text,
                    external_id=external_id,
                )
            )
            if not self._state.wanted(bot.id, draft.kind):
                continue
            update = {"update_id": await self._state.numbers(), draft.kind: draft.value}
            data = {"update": update, "forged": message.forged, "headers": message.headers}
            lane = None if message.forged else f"telegram:{bot.id}:{draft.chat['id']}"
            errands += [
                Errand(platform=self.kind, channel_config_id=own.id, data=data, due=due, lane=lane)
                for _ in range(message.duplicates + 1)
            ]
            self._methods.pending[bot.id] = self._methods.pending.get(bot.id, 0) + message.duplicates + 1
        return Writing(written[::-1] if message.reorder else written, errands)

    async def carry(self, errands: list[Errand]) -> Receipt:
        """Post one update; any 2xx means that it was taken."""
        [errand] = errands
        try:
            account = await self.stage.accounts.get(self.kind, errand.channel_config_id)
        except NotFound as error:
            return Receipt(True, None, error.message)
        except Unavailable as error:
            return Receipt(False, None, error.message)
        bot = _bot(account)
        if time.time() - errand.created > DROP_AFTER:
            return self._ended(bot, Receipt(True, None, "dropped after 24 hours"))
        webhook = self._state.webhook(bot.id)
        if webhook is not None and not webhook["url"]:
            return Receipt(False, None, "no webhook is set")
        own = f"{self.stage.settings.gateway_base_url}/webhooks/telegram/{account.id}"
        url = webhook["url"] if webhook else own
        secret = webhook["secret_token"] if webhook else str(account.credentials.get("secret_token") or "")
        forged = bool(errand.data["forged"])
        headers = {"Content-Type": "application/json"}
        if forged or secret:
            headers["X-Telegram-Bot-Api-Secret-Token"] = secrets.token_hex(16) if forged else secret
        body = msgspec.json.encode(errand.data["update"])
        timeout = self.stage.settings.simulator_webhook_timeout
        status, answer = await post(self.stage.http, url, body, headers | errand.data["headers"], timeout)
        taken = status is not None and 200 <= status <= 299
        if taken:
            await self._answered(bot, answer)
        elif not forged:
            said = f"Wrong response from the webhook: {status}" if status else "Connection refused"
            self._methods.last_error[bot.id] = (int(time.time()), said)
        receipt = Receipt(forged or taken, status, answer)
        return self._ended(bot, receipt) if receipt.done else receipt

    def _ended(self, bot: Bot, receipt: Receipt) -> Receipt:
        self._methods.pending[bot.id] = max(0, self._methods.pending.get(bot.id, 0) - 1)
        return receipt

    async def _draft(self, bot: Bot, line: Line) -> updates.Draft:
        """A line as an update, and what follows from it for the chat."""
        draft = updates.draft(line, await self._state.numbers(), bot.user)
        await asyncio.to_thread(self._files.keep, draft.value)
        changes: dict[str, Any] = {}
        if draft.kind == "my_chat_member":
            changes["blocked"] = draft.value["new_chat_member"].get("status") in {"kicked", "left"}
        if isinstance(moved_to := draft.value.get("migrate_to_chat_id"), int):
            changes["moved_to"] = moved_to
            await self._state.meet(bot.id, {**draft.chat, "id": moved_to, "type": "supergroup"})
        await self._state.meet(bot.id, draft.chat, **changes)
        if draft.kind == "callback_query":
            await self._tap(bot, draft)
        return draft

    async def _tap(self, bot: Bot, draft: updates.Draft) -> None:
        """A tap on the latest message with such a button; it waits for answerCallbackQuery."""
        query = draft.value
        query.setdefault("id", str(await self._state.numbers()))
        self._methods.expect_answer(str(query["id"]))
        if "message" in query:
            return
        chat = draft.chat
        sent = await self.stage.records.sent(
            channel=self.kind, to=str(chat["id"]), channel_config_id=bot.account.id, after=0, limit=_HISTORY
        )
        for item in reversed(sent):
            keyboard = item["payload"].get("reply_markup")
            if isinstance(keyboard, dict) and query.get("data") in _data(keyboard):
                number = int(item["external_id"].rpartition(":")[2])
                message = {"message_id": number, "from": bot.user, "chat": chat, "date": int(time.time())}
                query["message"] = {**message, "text": item["text"], "reply_markup": keyboard}
                return

    async def _answered(self, bot: Bot, answer: str) -> None:
        """The answer to an update may hold one call, whose result is never told."""
        try:
            call = msgspec.json.decode(answer, type=dict[str, Any])
        except (msgspec.MsgspecError, ValueError):
            return
        method = call.pop("method", None)
        if isinstance(method, str):
            try:
                await self._run(bot, Call(method, call))
            except BotError as error:
                self._methods.last_error[bot.id] = (int(time.time()), error.text)

    async def _call(self, request: Request) -> Response:
        try:
            bot = await self._authenticated(request.path_params["token"])
            call = await requests.read(request)
            faults = self.stage.faults.of(self.kind)
            fault = faults.strike() if self._methods.sends(call.method) else None
            if fault is not None and fault not in _AFTER_ACCEPTANCE:
                return _refused(fault, request)
            outcome = await self._run(bot, call)
            if call.method.lower() == "sendchataction":
                self.stage.typing.show(f"{bot.account.id}:{call.text('chat_id')}")
        except BotError as error:
            return error.response()
        return await _answer(outcome, fault, faults, request)

    async def _run(self, bot: Bot, call: Call) -> Outcome:
        outcome = await self._methods.run(bot, call)
        if outcome.address is not None:
            result = outcome.result
            first = result[0] if isinstance(result, list) else result
            number = first["message_id"] if isinstance(first, dict) else f"reaction-{call.number('message_id')}"
            sent = Sent(
                channel=self.kind,
                channel_config_id=bot.account.id,
                to=outcome.address,
                text=outcome.sent,
                message_id=None,
                external_id=f"{outcome.address.partition('/')[0]}:{number}",
                payload=call.shown(),
            )
            await self.stage.records.save(errands=[], sent=[sent], written=[])
        return outcome

    async def _file(self, request: Request) -> Response:
        try:
            await self._authenticated(request.path_params["token"])
        except BotError as error:
            return error.response()
        data = await asyncio.to_thread(self._files.fetch, request.path_params["path"])
        if data is None:
            return BotError(*NOT_FOUND).response()
        return Response(data, media_type="application/octet-stream")

    async def _authenticated(self, token: str) -> Bot:
        """The bot of a token. Bots that no channel config knows exist as well: a token is tried before it is kept."""
        number, colon, _ = token.partition(":")
        if not colon or not number.isdecimal():
            raise BotError(*NOT_FOUND)
        try:
            bot = await self._known(number, token)
        except BotError:
            bot = None
        if bot is None:
            await self.stage.accounts.by_account_id(self.kind, number)  # a miss has them read again, if they are old
            bot = await self._known(number, token)
        return bot or _bot(_stranger(token))

    async def _known(self, number: str, token: str) -> Bot | None:
        """The bot with this number and token; None if there is none with the number.

        Raises:
            BotError: its token is another.
        """
        others = False
        for account in await self.stage.accounts.all():
            own = str(account.credentials.get("bot_token") or "") if account.kind == self.kind else ""
            if account.status != "disabled" and same(own, token):
                return _bot(account)
            others = others or own.partition(":")[0] == number
        if others:
            raise BotError(*UNAUTHORIZED)
        return None


def _stranger(token: str) -> Channel:
    """The account of a bot that no channel config knows."""
    credentials = {"bot_token": token}
    return Channel(
        id="", tenant_id="", brand_id="", kind="telegram", name="Bot", account_id=None, credentials=credentials
    )


def _bot(account: Channel) -> Bot:
    number = str(account.credentials.get("bot_token")).partition(":")[0]
    return Bot(int(number) if number.isdecimal() else 0, account)


def _data(keyboard: dict[str, Any]) -> set[Any]:
    return {button.get("callback_data") for row in keyboard.get("inline_keyboard", []) for button in row}


async def _answer(outcome: Outcome, fault: str | None, faults: Faults, request: Request) -> Response:
    """What the bot hears of a call that was carried out; a fault may lose it on the way."""
    if fault == "reset_after":
        return _refused("reset", request)
    if fault == "timeout":
        await _until_disconnected(request, faults.timeout_seconds)
    body: dict[str, Any] = {"ok": True, "result": outcome.result}
    if outcome.description:
        body["description"] = outcome.description
    return JSONResponse(body)


def _refused(fault: str, request: Request) -> Response:
    if fault == "reset":
        request.scope["reset_connection"]()
        return Response(status_code=500)
    if fault == "502":
        return HTMLResponse("<html><body>Bad Gateway</body></html>", status_code=502)
    return ordered(fault).response()


async def _until_disconnected(request: Request, seconds: float) -> None:
    """Hang until the client has enough of it."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        return
