"""A WhatsApp number as the Cloud API knows it: its calls, and the business account that it belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from packages.core.domain.channels import Channel as Account
from services.channel_gateway import graph
from services.channel_gateway.graph import GraphAnswer

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its token and the way out."""

    account: Account
    http: aiohttp.ClientSession

    @property
    def id(self) -> str:
        """The phone number id."""
        return str(self.account.credentials.phone_number_id)

    @property
    def token(self) -> str:
        """The access token. Never logged."""
        return str(self.account.credentials.access_token.get_secret_value())

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        form: aiohttp.FormData | None = None,
        seconds: float = TIMEOUT_SECONDS,
    ) -> GraphAnswer:
        """One call of the Graph API at `path`, below the version."""
        url = graph.address(self.account.settings, path)
        return await graph.call(
            self.http, method, url, self.token, body=body, params=params, form=form, seconds=seconds
        )

    async def post(self, body: Mapping[str, Any]) -> GraphAnswer:
        """One call of the number's `messages`."""
        return await self.call("POST", f"{self.id}/messages", body=body)

    async def business_account_id(self) -> str | None:
        """The WhatsApp business account: as set, or as the number's health names it; None where neither says it."""
        known = self.account.settings.get("waba_id") or self.account.settings.get("business_account_id")
        if known:
            return str(known)
        answer = await self.call("GET", self.id, params={"fields": "health_status"})
        return business_account_in(answer.object())


def business_account_in(number: Mapping[str, Any]) -> str | None:
    """The business account among the entities of a number's `health_status`."""
    health = number.get("health_status")
    entities = health.get("entities") if isinstance(health, dict) else None
    for entity in entities if isinstance(entities, list) else ():
        if isinstance(entity, dict) and entity.get("entity_type") == "WABA" and entity.get("id"):
            return str(entity["id"])
    return None
