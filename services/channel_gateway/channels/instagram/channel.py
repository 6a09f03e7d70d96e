"""Instagram messaging, through Instagram Login or Facebook Login."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import aiohttp
from pydantic import BaseModel, Field, SecretStr

from packages.core.domain.channels import Capabilities, Finding, Rate
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Attachment, Signal
from services.channel_gateway import meta
from services.channel_gateway.channels import Channel, Download, Forged, Item, Part, SendResult, WebhookRequest
from services.channel_gateway.channels.instagram import files, inbound, outbound, setup

_MB = 1024 * 1024


class InstagramCredentials(BaseModel):
    """What connects an account. Where the operator's own Meta app serves, secret and verify token are left out."""

    account_id: str = Field(min_length=1, max_length=100, json_schema_extra={"x-account-id": True})
    access_token: SecretStr
    app_secret: SecretStr = SecretStr("")
    verify_token: SecretStr = SecretStr("")


class Instagram(Channel):
    """Direct messages of a professional Instagram account."""

    capabilities = Capabilities(
        label="Instagram",
        text_limit=outbound.TEXT_BYTES,
        text_unit="bytes",
        window_hours=24,
        agent_window_hours=168,
        media={"image": 8 * _MB, "sticker": 8 * _MB, "video": 25 * _MB, "audio": 25 * _MB, "document": 25 * _MB},
        buttons=outbound.QUICK_REPLIES,
        button_limit=outbound.TITLE,
        link_buttons=outbound.TEMPLATE_BUTTONS,
        reactions=True,
        typing=True,
        read_marks=True,
        read_receipts=True,
        reports_sends=True,
        account_rate=Rate(per_second=100, burst=100),
    )
    Credentials = InstagramCredentials

    def account_id(self, credentials: BaseModel) -> str | None:
        """The id of the professional account, which webhooks name."""
        assert isinstance(credentials, InstagramCredentials)
        return credentials.account_id

    def challenge(self, request: WebhookRequest, account: Account) -> str | None:
        """Echo Meta's challenge.

        Raises:
            Forged: mode or verify token is wrong.
        """
        answer = meta.challenge(request.query, account.credentials.verify_token.get_secret_value())
        if answer is None:
            raise Forged("The verify token is not this channel's.")
        return answer

    def verify(self, request: WebhookRequest, account: Account) -> None:
        """Check `X-Hub-Signature-256` against the app's secret.

        Raises:
            Forged: it is missing or wrong.
        """
        secret = account.credentials.app_secret.get_secret_value()
        if not meta.signed(request.body, request.headers.get("x-hub-signature-256"), secret):
            raise Forged("The signature is missing or wrong.")

    def parse(self, request: WebhookRequest) -> Sequence[Item]:
        """Messages, events, echoes, read marks and comments; everything else as ignored items.

        Raises:
            Unreadable: the body is not a JSON object.
        """
        return inbound.parse(request.body)

    async def send(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """Send one message or reaction."""
        return await outbound.send(part, account, http)

    async def signal(self, signal: Signal, account: Account, http: aiohttp.ClientSession) -> None:
        """Show typing, or mark the conversation as read."""
        await outbound.signal(signal, account, http)

    def download(
        self, attachment: Attachment, account: Account, http: aiohttp.ClientSession
    ) -> AbstractAsyncContextManager[Download]:
        """A customer's file, from Meta's content hosts.

        Raises:
            FileUnavailable: on entering; the link has expired, or leads elsewhere.
        """
        return files.download(attachment, account, http)

    async def connect(self, account: Account, http: aiohttp.ClientSession) -> list[Finding]:
        """Check whose token it is, and subscribe the app to the account's events."""
        return await setup.connect(account, http)

    async def disconnect(self, account: Account, http: aiohttp.ClientSession) -> None:
        """Take the subscription back."""
        await setup.disconnect(account, http)

    async def diagnose(self, account: Account, http: aiohttp.ClientSession) -> list[Finding]:
        """Token, account, subscription, secrets and public address."""
        return await setup.diagnose(account, http)
