"""python-telegram-bot's client over the gateway's own HTTP session, which refuses addresses inside networks."""

import io
from collections.abc import Awaitable
from typing import TypeVar

import aiohttp
import msgspec
from telegram import Bot
from telegram.error import TelegramError
from telegram.request import BaseRequest, RequestData

from packages.core.domain.channels import Channel as Account

API = "https://api.telegram.org"
TIMEOUT_SECONDS = 10.0
UPLOAD_SECONDS = 60.0
CONNECT_SECONDS = 5.0
_LARGEST_ANSWER = 4 * 1024 * 1024
Answer = TypeVar("Answer")


class Unreached(TelegramError):
    """No connection was made, so nothing left this machine."""


class Unanswered(TelegramError):
    """The request may have arrived, but no answer came."""


class Refused(TelegramError):
    """Telegram, or something before it, answered with another status than 2xx.

    `description` is Telegram's own text, empty where the answer was not Telegram's.
    """

    def __init__(self, status: int, body: bytes, retry_after: str | None = None) -> None:
        answer = _decoded(body)
        self.status = status
        self.description = str(answer.get("description") or "")[:300]
        parameters = answer.get("parameters")
        known = parameters if isinstance(parameters, dict) else {}
        wait, moved = known.get("retry_after"), known.get("migrate_to_chat_id")
        self.retry_after: float | None = float(wait) if isinstance(wait, int | float) else None
        if self.retry_after is None and retry_after and retry_after.isdigit() and len(retry_after) < 6:
            self.retry_after = float(retry_after)
        self.moved_to: str | None = str(moved) if isinstance(moved, int) else None
        super().__init__(self.description or f"status {status}")


def _decoded(body: bytes) -> dict[str, object]:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


class SessionRequest(BaseRequest):
    """Requests of one Bot through an aiohttp session that belongs to somebody else."""

    __slots__ = ("_http",)

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    @property
    def read_timeout(self) -> float:
        """Seconds that a request may take."""
        return TIMEOUT_SECONDS

    async def initialize(self) -> None:
        """Nothing to open: the session is the gateway's."""

    async def shutdown(self) -> None:
        """Nothing to close."""

    async def do_request(
        self, url: str, method: str, request_data: RequestData | None = None, *_: object, **__: object
    ) -> tuple[int, bytes]:
        """Make one request. The URL holds the token, so no error may quote it.

        Raises:
            Unreached, Unanswered, Refused: how it failed.
        """
        uploads = request_data is not None and request_data.contains_files
        timeout = aiohttp.ClientTimeout(UPLOAD_SECONDS if uploads else TIMEOUT_SECONDS, sock_connect=CONNECT_SECONDS)
        data, headers = _encoded(request_data)
        try:
            async with self._http.request(
                method, url, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                status, retry_after = response.status, response.headers.get("Retry-After")
                body = await response.content.read(_LARGEST_ANSWER)
                while not response.content.at_eof() and len(body) < _LARGEST_ANSWER:
                    body += await response.content.read(_LARGEST_ANSWER - len(body))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unreached(type(error).__name__) from None
        except aiohttp.InvalidURL:
            raise Unreached("InvalidURL") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unanswered(type(error).__name__) from None
        if not 200 <= status <= 299:
            raise Refused(status, body, retry_after)
        if not isinstance(_decoded(body).get("ok"), bool):
            raise Unanswered("the answer was not Telegram's")
        return status, body


def _encoded(data: RequestData | None) -> tuple[aiohttp.FormData | bytes | None, dict[str, str]]:
    """JSON, or a form with files where there are any."""
    if data is None:
        return None, {}
    if not data.contains_files:
        return msgspec.json.encode(data.parameters), {"Content-Type": "application/json"}
    form = aiohttp.FormData(quote_fields=False)
    for name, value in data.json_parameters.items():
        form.add_field(name, value)
    for name, (filename, content, media_type) in data.multipart_data.items():
        pieces = io.BytesIO(content) if isinstance(content, bytes) else content
        form.add_field(name, pieces, filename=filename, content_type=media_type)
    return form, {}


async def ask(call: Awaitable[Answer]) -> Answer:
    """The result of a method of the Bot.

    Raises:
        TelegramError: how it failed; also for answers that are well-formed, but hold something else than they should.
    """
    try:
        return await call
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise Unanswered(f"the answer was not Telegram's: {type(error).__name__}") from None


def base_of(account: Account) -> str:
    """Scheme and host of the API: Telegram's, or `settings.api_base`."""
    return str(account.settings.get("api_base") or API).rstrip("/")


class DiscreetBot(Bot):
    """The library's client; its own representation would show the token in logs."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Without the token."""
        return "DiscreetBot()"


def bot_of(account: Account, http: aiohttp.ClientSession) -> Bot:
    """The account's client. It costs a few microseconds and holds nothing open, so it is made for each use.

    Raises:
        telegram.error.InvalidToken: the token is empty.
    """
    base, request = base_of(account), SessionRequest(http)
    return DiscreetBot(
        account.credentials.bot_token.get_secret_value(),
        base_url=f"{base}/bot",
        base_file_url=f"{base}/file/bot",
        request=request,
        get_updates_request=request,
    )
