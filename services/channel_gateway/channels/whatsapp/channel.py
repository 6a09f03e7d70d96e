"""WhatsApp through Meta's Cloud API."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import aiohttp
from pydantic import BaseModel, Field, SecretStr

from packages.core.domain.channels import Capabilities, Finding, Rate
from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import Attachment, Signal
from services.channel_gateway import meta
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
from services.channel_gateway.channels.whatsapp import inbound, media, outbound, setup, templates
from services.channel_gateway.channels.whatsapp.number import Number

_MB = 1024 * 1024


class WhatsAppCredentials(BaseModel):
    """What connects a number. Where the operator's own Meta app serves, secret and verify token are left out."""

    phone_number_id: str = Field(min_length=1, max_length=100, json_schema_extra={"x-account-id": True})
    access_token: SecretStr
    app_secret: SecretStr = SecretStr("")
    verify_token: SecretStr = SecretStr("")


class WhatsApp(Channel):
    """The WhatsApp Business Platform, Cloud API."""

    capabilities = Capabilities(
        label="WhatsApp",
        text_limit=4096,
        markdown="whatsapp",
        window_hours=24,
        media={
            "image": 5 * _MB,
            "video": 16 * _MB,
            "audio": 16 * _MB,
            "document": 100 * _MB,
            "sticker": 500 * 1024,
        },
        caption_limit=1024,
        buttons=outbound.BUTTONS,
        button_limit=outbound.BUTTON_TITLE,
        link_buttons=1,
        list_rows=outbound.ROWS,
        templates=True,
        reactions=True,
        typing=True,
        read_marks=True,
        delivery_receipts=True,
        read_receipts=True,
        reports_sends=True,
        account_rate=Rate(per_second=80, burst=80),
        person_rate=Rate(per_second=1 / 6, burst=45),
    )
    Credentials = WhatsAppCredentials

    def __init__(self) -> None:
        self._shapes = templates.Shapes()

    def account_id(self, credentials: BaseModel) -> str | None:
        """The phone number id; the printed number may change its format."""
        assert isinstance(credentials, WhatsAppCredentials)
        return credentials.phone_number_id

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
        """Messages, statuses, and everything else as ignored items.

        Raises:
            Unreadable: the body is not a JSON object.
        """
        return inbound.parse(request.body)

    async def send(self, part: Part, account: Account, http: aiohttp.ClientSession) -> SendResult:
        """Send one message; a file goes up first."""
        number = Number(account, http)
        named: dict[str, str] = {}
        if part.file:
            found = await self._named(number, part)
            if isinstance(found, SendResult):
                return found
            named = found
        template = None
        if part.template:
            template = templates.filled(part.template, await self._shapes.find(number, part.template))
        return outbound.result(await number.post(outbound.request_body(part, named, template)))

    async def _named(self, number: Number, part: Part) -> dict[str, str] | SendResult:
        """The part's file as a message names it: by the id of an upload, or, where that would take long, by link."""
        assert part.file
        if part.file.size > media.UPLOAD_LIMIT:
            return {"link": part.file.url}
        answer = await media.upload(number, part.file)
        uploaded = answer.object().get("id") if answer.ok else None
        if isinstance(uploaded, str | int):
            return {"id": str(uploaded)}
        if answer.lost or answer.ok:  # nothing has reached the customer, so this is no doubt
            return SendResult(outcome="retry", code="upload", reason=answer.reason or "The upload got no id.")
        return outbound.result(answer)

    async def signal(self, signal: Signal, account: Account, http: aiohttp.ClientSession) -> None:
        """Mark the customer's message as read, and show typing; the platform does the latter only for a message."""
        if signal.external_id:
            mark = outbound.read_mark(signal.external_id, typing=signal.kind == "typing")
            await Number(account, http).post(mark)

    def download(
        self, attachment: Attachment, account: Account, http: aiohttp.ClientSession
    ) -> AbstractAsyncContextManager[Download]:
        """A customer's file, by its id.

        Raises:
            FileUnavailable: on entering.
        """
        return media.download(Number(account, http), attachment)

    async def connect(self, account: Account, http: aiohttp.ClientSession) -> list[Finding]:
        """Check the token, subscribe the app and set the number's webhook."""
        return await setup.connect(Number(account, http))

    async def disconnect(self, account: Account, http: aiohttp.ClientSession) -> None:
        """Take the number's webhook back."""
        await setup.disconnect(Number(account, http))

    async def diagnose(self, account: Account, http: aiohttp.ClientSession) -> list[Finding]:
        """Token, secret, quality, limits, health, webhook, subscription, templates."""
        return await setup.diagnose(Number(account, http))

    async def templates(self, account: Account, http: aiohttp.ClientSession) -> list[TemplateInfo]:
        """The business account's templates.

        Raises:
            Unavailable: WhatsApp does not list them.
        """
        return await templates.listed(Number(account, http))
