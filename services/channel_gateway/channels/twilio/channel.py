"""Twilio as a channel: one sender of an account, for SMS and MMS or for WhatsApp."""

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import lru_cache

import aiohttp
import structlog
from pydantic import BaseModel

from packages.core.domain.channels import Capabilities, Finding, Rate
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Attachment, Signal
from services.channel_gateway.channels import (
    Channel,
    Download,
    Forged,
    Item,
    Part,
    SendResult,
    TemplateInfo,
    WebhookRequest,
)
from services.channel_gateway.channels.twilio import inbound, media, outbound, sdk, setup, templates
from services.channel_gateway.channels.twilio.account import TwilioCredentials, credentials, is_whatsapp, public
from services.channel_gateway.channels.twilio.signature import signed

log = structlog.get_logger(__name__)
_MB = 1024 * 1024

SMS = Capabilities(
    label="Twilio (SMS, WhatsApp)",
    text_limit=1600,
    media={"image": 5 * _MB, "video": 500 * 1024, "audio": 500 * 1024, "document": 500 * 1024},
    caption_limit=1600,
    delivery_receipts=True,
    reports_sends=True,
    account_rate=Rate(per_second=1, burst=10),
)
"""A long code sends one message a second; what is more waits in Twilio's queue, so a short burst does no harm."""

WHATSAPP = replace(
    SMS,
    markdown="whatsapp",
    window_hours=24,
    media={"image": 5 * _MB, "video": 16 * _MB, "audio": 16 * _MB, "document": 16 * _MB},
    caption_limit=0,
    templates=True,
    typing=True,
    read_receipts=True,
    account_rate=Rate(per_second=80, burst=80),
)
"""A WhatsApp sender. Captions of documents are lost on the way, so texts go by themselves."""


_TOLL_FREE = re.compile(r"\+1(800|833|844|855|866|877|888)\d{7}")


def _per_second(account: Account) -> float:
    """How many messages a second the sender may send: as its settings say, else what its kind of number has."""
    sender, said = credentials(account).sender, account.settings.get("messages_per_second")
    if isinstance(said, int | float) and said > 0:
        return float(said)
    if sender.startswith("whatsapp:"):
        return 80.0
    if sender.isdecimal():
        return 100.0
    return 3.0 if _TOLL_FREE.fullmatch(sender) else 1.0


@lru_cache(maxsize=256)
def _paced(on_whatsapp: bool, per_second: float) -> Capabilities:
    rate = Rate(per_second=per_second, burst=max(10, int(per_second)))
    return replace(WHATSAPP if on_whatsapp else SMS, account_rate=rate)


class Twilio(Channel):
    """SMS, MMS and WhatsApp through Twilio."""

    capabilities = SMS
    Credentials = TwilioCredentials
    webhook_methods = ("POST", "GET")

    def capabilities_for(self, account: Account) -> Capabilities:
        """Those of WhatsApp for a WhatsApp sender; a messaging service counts as SMS. The pace is the sender's."""
        return _paced(is_whatsapp(account), _per_second(account))

    def account_id(self, credentials: BaseModel) -> str | None:
        """The sender: several channels may share one Twilio account."""
        assert isinstance(credentials, TwilioCredentials)
        return credentials.sender

    def verify(self, request: WebhookRequest, account: Account) -> None:
        """Check `X-Twilio-Signature`.

        Raises:
            Forged: it is missing or wrong, or does not cover the body.
        """
        opened = credentials(account)
        url = public(account, request.url)
        if not signed(request, url, opened.auth_token, opened.signing_key_id, opened.signing_key_secret):
            raise Forged("The signature is missing or wrong.")

    def parse(self, request: WebhookRequest) -> Sequence[Item]:
        """The message or status that the webhook tells of.

        Raises:
            Unreadable: the body is neither a form nor JSON.
        """
        return inbound.parse(request)

    async def send(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """Send one message."""
        return await outbound.send(part, account, http)

    async def find(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult | None:
        """Look a message up whose answer was lost; `in_doubt` while Twilio cannot be asked."""
        return await outbound.find(part, account, http)

    async def signal(self, signal: Signal, account: Account, http: aiohttp.ClientSession) -> None:
        """Show typing on WhatsApp, which also marks the customer's message as read; there is no mark alone."""
        if signal.kind != "typing" or not is_whatsapp(account) or not signal.external_id:
            return
        indicators = sdk.client(account, http, seconds=4).messaging.v2.typing_indicator
        try:
            await indicators.create_async(channel="whatsapp", message_id=signal.external_id)
        except (*sdk.REFUSED, *sdk.NO_ANSWER, *sdk.UNREADABLE) as error:
            log.info("signal_failed", channel="twilio", signal=signal.kind, reason=type(error).__name__)

    def download(
        self, attachment: Attachment, account: Account, http: aiohttp.ClientSession
    ) -> AbstractAsyncContextManager[Download]:
        """A customer's file.

        Raises:
            FileUnavailable: on entering; Twilio does not give it, or it lies elsewhere.
        """
        return media.download(attachment, account, http)

    async def connect(self, account: Account, http: aiohttp.ClientSession) -> list[Finding]:
        """Check the credentials, and have Twilio call our webhook for the sender's messages."""
        return await setup.connect(account, http)

    async def disconnect(self, account: Account, http: aiohttp.ClientSession) -> None:
        """Have Twilio call our webhook no more."""
        await setup.disconnect(account, http)

    async def diagnose(self, account: Account, http: aiohttp.ClientSession) -> list[Finding]:
        """What is right and wrong with the account."""
        return await setup.diagnose(account, http)

    async def templates(self, account: Account, http: aiohttp.ClientSession) -> list[TemplateInfo]:
        """The account's content templates; SMS senders may use them too.

        Raises:
            Unavailable: Twilio does not answer, or refuses.
        """
        return await templates.listing(account, http)
