"""Setting an account up with its platform: the gateway, which alone speaks to platforms, is asked to."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import structlog
from pydantic import BaseModel, ValidationError

from packages.core.domain.channels import Finding
from packages.core.errors import Unavailable

log = structlog.get_logger(__name__)
SECONDS = 12.0


class TemplateRead(BaseModel):
    """A template that the platform has, and how many variables each of its places takes."""

    name: str
    language: str
    status: str
    category: str | None
    text: str
    body: int
    named: list[str]
    header: str | None
    header_parameters: int
    buttons: int


class _Findings(BaseModel):
    items: list[Finding]


class _Templates(BaseModel):
    items: list[TemplateRead]


@dataclass(frozen=True)
class Setup:
    """The gateway's internal endpoints for one account.

    Args:
        url: the gateway's base URL. service_key: the secret that services of this installation share.
    """

    http: httpx.AsyncClient
    url: str
    service_key: str

    async def connect(self, channel_config_id: UUID) -> list[Finding]:
        """Check the credentials and register the webhook; a gateway that is away is a finding, too."""
        return await self._findings("POST", channel_config_id, "connect")

    async def diagnose(self, channel_config_id: UUID) -> list[Finding]:
        """What the platform says of the account."""
        return await self._findings("GET", channel_config_id, "diagnosis")

    async def disconnect(self, channel_config_id: UUID) -> None:
        """Take the webhook's registration back. If that does not work, the platform's calls are refused from now on."""
        try:
            (await self._call("POST", channel_config_id, "disconnect")).raise_for_status()
        except httpx.HTTPError as error:
            log.warning("disconnect_failed", channel_config_id=str(channel_config_id), error=str(error)[:200])

    async def templates(self, channel_config_id: UUID) -> list[TemplateRead]:
        """The account's templates.

        Raises:
            Unavailable: the gateway or the platform does not answer.
        """
        try:
            answer = await self._call("GET", channel_config_id, "templates")
            answer.raise_for_status()
            return _Templates.model_validate_json(answer.content).items
        except httpx.HTTPStatusError as error:
            raise Unavailable(_reason(error.response)) from error
        except (httpx.HTTPError, ValidationError) as error:
            raise Unavailable("The channel gateway does not answer; please try again.") from error

    async def _findings(self, method: str, channel_config_id: UUID, what: str) -> list[Finding]:
        try:
            answer = await self._call(method, channel_config_id, what)
            answer.raise_for_status()
            return _Findings.model_validate_json(answer.content).items
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("setup_unavailable", channel_config_id=str(channel_config_id), error=str(error)[:200])
            message = "The channel gateway could not check this account with its platform."
            remedy = "See whether the gateway runs (its /readyz), then ask for the diagnosis again."
            return [Finding(check="reachable", level="warning", message=message, remedy=remedy)]

    async def _call(self, method: str, channel_config_id: UUID, what: str) -> httpx.Response:
        url = f"{self.url}/internal/channels/{channel_config_id}/{what}"
        return await self.http.request(method, url, headers={"X-Parley-Service": self.service_key}, timeout=SECONDS)


def _reason(response: httpx.Response) -> str:
    try:
        body: Any = response.json()
        return str(body["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "The platform did not list its templates; please try again."
