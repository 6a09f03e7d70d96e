"""Twilio's own client over the gateway's HTTP session, which refuses private addresses and has time limits."""

import json
import logging
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec

# The SDK imports these when they are first used, which would hold the event loop up for half a second.
import twilio.rest.api  # type: ignore[import-untyped]
import twilio.rest.content  # type: ignore[import-untyped]
import twilio.rest.messaging  # type: ignore[import-untyped]
import twilio.rest.monitor  # type: ignore[import-untyped]  # noqa: F401
from twilio.base.exceptions import TwilioException  # type: ignore[import-untyped]
from twilio.http import AsyncHttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]
from twilio.rest import Client
from yarl import URL

from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels.twilio.account import api_base, credentials

TIMEOUT_SECONDS = 10.0
CONNECT_SECONDS = 5.0
NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""No connection was made, so nothing left this machine."""
NO_ANSWER = (aiohttp.ClientError, TimeoutError, OSError)
REFUSED = (TwilioException,)
UNREADABLE = (ValueError, TypeError, AttributeError, KeyError)
"""What the SDK raises for an answer that is not Twilio's."""

_MOST_BYTES = 4 * 1024 * 1024
_NO_ENVIRONMENT = {"TWILIO_REGION": ""}  # an empty mapping would make the SDK read the process's environment


class Session(AsyncHttpClient):  # type: ignore[misc]
    """Makes the SDK's requests.

    Args:
        http: the session; its owner closes it.
        base: replaces scheme and host of every URL.
    """

    def __init__(self, http: aiohttp.ClientSession, base: str | None, seconds: float) -> None:
        super().__init__(logging.getLogger("twilio"), True, seconds)
        self._http = http
        self._base = base
        self.retry_after: float | None = None

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the SDK's signature
        allow_redirects: bool = False,
    ) -> Response:
        """One request. Redirects are not followed, for they would carry the credentials along.

        Raises:
            aiohttp.ClientError, TimeoutError, OSError: no answer came.
        """
        sent = dict(headers or {})
        if auth:
            sent["Authorization"] = aiohttp.encode_basic_auth(*auth)
        async with self._http.request(
            method,
            URL(self._url(uri, params), encoded=True),
            data=_encoded(data, sent.get("Content-Type", "")),
            headers=sent,
            timeout=aiohttp.ClientTimeout(total=timeout or self.timeout, connect=CONNECT_SECONDS),
            allow_redirects=False,
        ) as response:
            body = await response.content.read(_MOST_BYTES)
            while not response.content.at_eof() and len(body) < _MOST_BYTES:
                body += await response.content.read(_MOST_BYTES - len(body))
            self.retry_after = _seconds(response.headers.get("Retry-After"))
            return Response(response.status, body.decode("utf-8", "replace"), response.headers)

    def _url(self, uri: str, params: dict[str, object] | None) -> str:
        parts = urlsplit(uri)
        query = "&".join(part for part in (parts.query, urlencode(params or {}, doseq=True)) if part)
        base = self._base or f"{parts.scheme}://{parts.netloc}"
        return f"{base}{parts.path}{'?' + query if query else ''}"


def client(account: Account, http: aiohttp.ClientSession, *, seconds: float = TIMEOUT_SECONDS) -> Client:
    """Twilio's client for one account: with its API key where it has one, else with its token."""
    opened = credentials(account)
    if opened.api_key_sid:
        username, password = opened.api_key_sid, opened.api_key_secret.get_secret_value()
    else:
        username, password = opened.account_sid, opened.auth_token.get_secret_value()
    return _client(account, http, username, password, seconds)


def token_client(account: Account, http: aiohttp.ClientSession, *, seconds: float = TIMEOUT_SECONDS) -> Client:
    """The client with the auth token itself, whatever keys there are: to see whether the token is right."""
    opened = credentials(account)
    return _client(account, http, opened.account_sid, opened.auth_token.get_secret_value(), seconds)


def _client(account: Account, http: aiohttp.ClientSession, username: str, password: str, seconds: float) -> Client:
    return Client(
        username,
        password,
        account_sid=credentials(account).account_sid,
        http_client=Session(http, api_base(account), seconds),
        environment=_NO_ENVIRONMENT,
        region=account.settings.get("region") or None,
        edge=account.settings.get("edge") or None,
    )


def refused(error: Exception) -> tuple[int, int | None, str]:
    """HTTP status, Twilio's code (None where the answer has none) and its words, of each kind of SDK error."""
    status, code, words = _of_page(error) or _of_record(error)
    number = code if isinstance(code, int) and code != status else None
    return status, number, str(words or "").removeprefix("Unable to create record: ")


def _of_record(error: Exception) -> tuple[int, Any, Any]:
    words = getattr(error, "detail", None) or getattr(error, "title", None) or getattr(error, "msg", "")
    return int(getattr(error, "status", 0) or 0), getattr(error, "code", None), words


def _of_page(error: Exception) -> tuple[int, Any, Any] | None:
    """Lists fail with a bare exception that holds the answer itself."""
    response = next((value for value in error.args if isinstance(value, Response)), None)
    if response is None:
        return None
    try:
        answer = msgspec.json.decode(response.text)
    except msgspec.DecodeError:
        answer = None
    found = answer if isinstance(answer, dict) else {}
    return response.status_code, found.get("code"), found.get("message") or found.get("detail") or ""


def _encoded(data: dict[str, object] | None, media_type: str) -> bytes | None:
    if not data:
        return None
    if "json" in media_type:
        return json.dumps(data).encode()
    return urlencode(data, doseq=True).encode()


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdecimal() and len(header) < 7 else None
