"""A Telegram bot as a channel."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import aiohttp
from pydantic import BaseModel, SecretStr
from telegram.constants import ChatAction
from telegram.error import TelegramError

from packages.core.crypto import same
from packages.core.domain.channels import Capabilities, Finding, Rate
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Attachment, InboundMessage, Signal
from services.channel_gateway.channels import Channel, Download, Forged, Item, Part, SendResult, WebhookRequest
from services.channel_gateway.channels.telegram import addresses, files, inbound, outbound, setup
from services.channel_gateway.channels.telegram.bot import bot_of

_MB = 1024 * 1024


class TelegramCredentials(BaseModel):
    """What connects a bot. `secret_token` is of one's own making: Telegram sends it along with each update.

    Nothing here routes: an update does not say which bot it is for, so the URL does.
    """

    bot_token: SecretStr
    secret_token: SecretStr = SecretStr("")


class Telegram(Channel):
    """The Telegram Bot API."""

    capabilities = Capabilities(
        label="Telegram",
        text_limit=4096,
        text_unit="utf16",
        markdown="telegram_html",
        media={
            "image": 10 * _MB,
            "video": 50 * _MB,
            "audio": 50 * _MB,
            "document": 50 * _MB,
            "sticker": 512 * 1024,
        },
        caption_limit=1024,
        buttons=10,
        button_limit=64,
        link_buttons=10,
        reactions=True,
        typing=True,
        read_marks=True,
        account_rate=Rate(per_second=30, burst=30),
        person_rate=Rate(per_second=1, burst=3),
        group_rate=Rate(per_second=20 / 60, burst=20),
    )
    Credentials = TelegramCredentials

    def account_id(self, credentials: BaseModel) -> str | None:
        """None: the URL alone routes. (The bot's number stands in its token, which must not serve as an id.)"""
        return None

    def verify(self, request: WebhookRequest, account: Account) -> None:
        """Compare `X-Telegram-Bot-Api-Secret-Token` with the secret; nothing is signed.

        Raises:
            Forged: it is missing or wrong, or the account has no secret.
        """
        secret = account.credentials.secret_token.get_secret_value()
        given = request.headers.get("x-telegram-bot-api-secret-token")
        if not secret or given is None or not same(given, secret):
            raise Forged("The secret token is missing or wrong.")

    def parse(self, request: WebhookRequest) -> Sequence[Item]:
        """The update's item; several where several messages were deleted.

        Raises:
            Unreadable: the body is not a JSON object.
        """
        return inbound.parse(request.body)

    async def send(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """Send one message, or set a reaction."""
        return await outbound.send(part, account, http)

    async def signal(self, signal: Signal, account: Account, http: aiohttp.ClientSession) -> None:
        """Show "typing …" for five seconds; read marks exist in the chats of business accounts alone."""
        address = addresses.read(signal.recipient)
        if address is None:
            return
        try:
            bot = bot_of(account, http)
            if signal.kind == "typing":
                await bot.send_chat_action(
                    address.chat,
                    ChatAction.TYPING,
                    message_thread_id=address.thread,
                    business_connection_id=address.business,
                )
            number = addresses.number_of(signal.external_id, address)
            if signal.kind == "read" and address.business and number is not None:
                await bot.read_business_message(address.business, address.chat, number)
        except TelegramError:
            return  # of no consequence

    async def accept(self, message: InboundMessage, account: Account, http: aiohttp.ClientSession) -> None:
        """Answer a tap, or the button would go on spinning."""
        query_id = message.extra.get("callback_query_id")
        if not isinstance(query_id, str):
            return
        try:
            await bot_of(account, http).answer_callback_query(query_id)
        except TelegramError:
            return  # too late, most often: then it spins no longer either

    def download(
        self, attachment: Attachment, account: Account, http: aiohttp.ClientSession
    ) -> AbstractAsyncContextManager[Download]:
        """A customer's file of up to 20 MB, from Telegram's own host.

        Raises:
            FileUnavailable: on entering; Telegram does not give it.
        """
        return files.download(attachment, account, http)

    async def connect(self, account: Account, http: aiohttp.ClientSession) -> list[Finding]:
        """Check the token with Telegram and register the webhook."""
        return await setup.connect(account, http)

    async def disconnect(self, account: Account, http: aiohttp.ClientSession) -> None:
        """Take the webhook back, where it is ours."""
        await setup.disconnect(account, http)

    async def diagnose(self, account: Account, http: aiohttp.ClientSession) -> list[Finding]:
        """Token, secret, public address, webhook, and what Telegram was asked to tell."""
        return await setup.diagnose(account, http)
