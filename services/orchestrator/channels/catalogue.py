"""Which channels exist and what their credentials are: the gateway's `GET /channels`, kept for a while."""

import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from packages.core.errors import InvalidInput, Unavailable, UnsupportedFormat

log = structlog.get_logger(__name__)
KEPT_SECONDS = 60.0
_JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "array": list,
    "object": dict,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


class Entry(BaseModel):
    """One channel of the catalogue. `account_id_field` names the credential by which webhook items are routed."""

    channel: str
    label: str = ""
    credentials_schema: dict[str, Any]
    account_id_field: str | None = None
    capabilities: dict[str, Any] = Field(default_factory=dict)

    def checked(self, credentials: dict[str, Any]) -> dict[str, Any]:
        """The credentials, if they fit the channel's schema.

        Raises:
            InvalidInput: names each field that is missing, unknown or of the wrong type; never its value.
        """
        known: dict[str, Any] = self.credentials_schema.get("properties", {})
        required: list[str] = self.credentials_schema.get("required", [])
        problems = [{"field": name, "problem": "is required"} for name in required if not credentials.get(name)]
        for name, value in credentials.items():
            if name not in known:
                problems.append({"field": name, "problem": f"is not a credential of {self.channel}"})
            elif not _fits(value, known[name]):
                problems.append({"field": name, "problem": "has the wrong type or form"})
        if problems:
            raise InvalidInput(
                "The credentials do not fit the channel; see details.", details={"credentials": problems}
            )
        return credentials

    def account_id(self, credentials: dict[str, Any]) -> str | None:
        """The platform's id of the account, where the channel has one."""
        value = credentials.get(self.account_id_field) if self.account_id_field else None
        return str(value) if value else None


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value has a type that its JSON schema allows; finer rules are the channel's own."""
    if "anyOf" in schema:
        return any(_fits(value, option) for option in schema["anyOf"])
    kind = _JSON_TYPES.get(schema.get("type", ""))
    if kind is None:
        return True
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        return False
    if isinstance(value, list) and "items" in schema:
        return all(_fits(item, schema["items"]) for item in value)
    return not isinstance(value, str) or schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10_000)


class _Answer(BaseModel):
    items: list[Entry]


_ANSWER = TypeAdapter(_Answer)


@dataclass
class Catalogue:
    """The gateway's catalogue. An old copy is better than none while the gateway restarts."""

    http: httpx.AsyncClient
    url: str
    _entries: dict[str, Entry] = field(default_factory=dict)
    _good_until: float = 0.0

    async def entry(self, channel: str) -> Entry:
        """The entry of a channel.

        Raises:
            UnsupportedFormat: no such channel is installed.
            Unavailable: the gateway does not answer, and was never heard.
        """
        if channel not in self._entries or time.monotonic() > self._good_until:
            await self._fetch()
        if channel not in self._entries:
            known = ", ".join(sorted(self._entries))
            raise UnsupportedFormat(f"There is no channel {channel!r} here; there are: {known}.")
        return self._entries[channel]

    async def _fetch(self) -> None:
        try:
            answer = await self.http.get(self.url)
            answer.raise_for_status()
            entries = _ANSWER.validate_json(answer.content).items
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("catalogue_unavailable", url=self.url, error=str(error)[:300])
            if self._entries:
                return
            raise Unavailable(
                "The channel gateway does not answer, so the credentials cannot be checked; please try again."
            ) from error
        self._entries = {entry.channel: entry for entry in entries}
        self._good_until = time.monotonic() + KEPT_SECONDS
