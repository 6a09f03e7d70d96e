"""Meta's Graph API, as both of Meta's channels call it: one request, its answer or the reason why none came.

Protocol: Meta's "Graph API", "Handling errors" and "Rate limits" pages. Status codes do not sort errors (rate limits
come with 400), so callers decide by `GraphError.code`. Not every failure is JSON: proxies have pages of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import msgspec

HOST = "https://graph.facebook.com"
VERSION = "v26.0"
USER_AGENT = "Parley/1.0"
CONNECT_SECONDS = 5.0
_LONGEST_ANSWER = 4 * 1024 * 1024
_TEMPORARY = frozenset({408, 425, 429})
_USAGE = ("X-Business-Use-Case-Usage", "X-App-Usage")


@dataclass(frozen=True, slots=True)
class GraphError:
    """What Meta says went wrong. `details` is the sentence for people, where there is one."""

    code: int
    subcode: int | None = None
    message: str = ""
    details: str | None = None
    trace_id: str | None = None

    @property
    def text(self) -> str:
        """The most telling words of it."""
        return self.details or self.message or f"error {self.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphAnswer:
    """How a call ended.

    `status` is None where no answer came; then `lost` says whether the request may have arrived: with `unreachable`
    nothing left this machine, with `no_answer` nobody knows. `body` is the decoded JSON, None where it was none.
    `error` is Meta's own; an HTTP error in another form has none. `retry_after` is in seconds. `reason` is for people.
    """

    status: int | None = None
    body: Any = None
    error: GraphError | None = None
    lost: Literal["unreachable", "no_answer"] | None = None
    reason: str = ""
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """Whether Meta did what was asked."""
        return self.status is not None and 200 <= self.status < 300 and self.error is None

    @property
    def temporary(self) -> bool:
        """Whether a proxy or server failed without saying why in Meta's form, so that a later attempt may succeed."""
        return self.error is None and self.status is not None and (self.status >= 500 or self.status in _TEMPORARY)

    def object(self) -> dict[str, Any]:
        """The body, an empty one where it is no object."""
        return self.body if isinstance(self.body, dict) else {}

    def data(self) -> list[dict[str, Any]]:
        """The objects of a list's `data`."""
        found = self.object().get("data")
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def address(settings: Mapping[str, Any], path: str, host: str = HOST) -> str:
    """The URL of a node or edge: `settings.api_base` replaces the host, `settings.api_version` the version."""
    base = str(settings.get("api_base") or host).rstrip("/")
    return f"{base}/{settings.get('api_version') or VERSION}/{path.lstrip('/')}"


async def call(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    token: str,
    *,
    body: Mapping[str, Any] | None = None,
    params: Mapping[str, str] | None = None,
    form: aiohttp.FormData | None = None,
    seconds: float,
) -> GraphAnswer:
    """Make one request with a Bearer token; `body` goes as JSON, `form` as it is. Never raises for what comes of it."""
    headers = {"Authorization": f"Bearer {token}", "User-Agent": USER_AGENT}
    data: bytes | aiohttp.FormData | None = form
    timeout = aiohttp.ClientTimeout(total=seconds, connect=min(seconds, CONNECT_SECONDS))
    try:
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = msgspec.json.encode(body)
        async with http.request(
            method, url, data=data, params=params, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            return read(response.status, await _whole(response), response.headers)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
        return GraphAnswer(lost="unreachable", reason=f"Meta cannot be reached: {error or type(error).__name__}")
    except ValueError as error:  # a token that no header can hold, or text that is no Unicode
        return GraphAnswer(lost="unreachable", reason=f"The request cannot be written: {error}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return GraphAnswer(lost="no_answer", reason=f"No answer from Meta: {error or type(error).__name__}")


def read(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> GraphAnswer:
    """An answer as it came."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
    error = _error(document)
    if 200 <= status < 300 and error is None:
        return GraphAnswer(status=status, body=document)
    reason = error.text if error else f"Meta answered with status {status}."
    return GraphAnswer(status=status, body=document, error=error, reason=reason, retry_after=_pause(headers or {}))


def _error(document: Any) -> GraphError | None:
    found = document.get("error") if isinstance(document, dict) else None
    if not isinstance(found, dict) or not _whole_number(found.get("code")):
        return None
    data = found.get("error_data")
    details = data.get("details") if isinstance(data, dict) else found.get("error_user_msg")
    subcode, trace_id = found.get("error_subcode"), found.get("fbtrace_id")
    return GraphError(
        code=found["code"],
        subcode=subcode if _whole_number(subcode) else None,
        message=str(found.get("message") or ""),
        details=str(details) if details else None,
        trace_id=str(trace_id) if trace_id else None,
    )


def _pause(headers: Mapping[str, str]) -> float | None:
    """Seconds after which Meta wants to be asked again: `Retry-After`, or minutes in one of its usage headers."""
    stated = headers.get("Retry-After", "")
    if stated.isascii() and stated.isdigit():
        return min(float(stated), 86_400.0)
    minutes = [0.0]
    for name in _USAGE:
        try:
            usage = msgspec.json.decode(headers.get(name, "null"))
        except (msgspec.DecodeError, RecursionError):
            continue
        minutes += _waits(usage)
    return min(max(minutes) * 60, 86_400.0) or None


def _waits(usage: Any) -> list[float]:
    """Every `estimated_time_to_regain_access` of a usage header, in minutes."""
    if not isinstance(usage, dict):
        return []
    groups = [usage, *(item for group in usage.values() if isinstance(group, list) for item in group)]
    found = [group.get("estimated_time_to_regain_access") for group in groups if isinstance(group, dict)]
    return [float(value) for value in found if isinstance(value, int | float)]


def _whole_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """The body, as far as an answer of Meta's can be long."""
    found = bytearray()
    async for chunk in response.content.iter_any():
        found += chunk
        if len(found) > _LONGEST_ANSWER:
            raise aiohttp.ClientPayloadError("The answer is too long.")
    return bytes(found)
