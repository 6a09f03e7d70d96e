"""Bodies of channel configs. Credentials go in and never come out."""

from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import Field, field_validator

from services.orchestrator.auth.schemas import Input, Name, Output


def _checked_settings(settings: dict[str, Any] | None) -> dict[str, Any] | None:
    base = (settings or {}).get("api_base")
    if base is not None and (not isinstance(base, str) or urlsplit(base).scheme not in {"http", "https"}):
        raise ValueError("settings.api_base must be an http(s) URL")
    return settings


class ChannelCreate(Input):
    """A brand's account on a channel. Which credentials it takes is in the gateway's `GET /channels`."""

    channel: str = Field(max_length=32, examples=["whatsapp"])
    name: Name
    credentials: dict[str, Any] = Field(default_factory=dict, repr=False)
    settings: dict[str, Any] = Field(
        default_factory=dict, description="`api_base` points at another host than the platform's own"
    )

    _settings = field_validator("settings")(_checked_settings)


class ChannelUpdate(Input):
    """What is given is changed. Credentials are changed one by one; `settings` are replaced as a whole."""

    name: Name | None = None
    credentials: dict[str, Any] | None = Field(None, repr=False)
    settings: dict[str, Any] | None = None
    status: Literal["active", "disabled"] | None = None

    _settings = field_validator("settings")(_checked_settings)


class Check(Output):
    """One thing that was checked of an account. `level` is ok, info, warning or error."""

    check: str
    level: str
    message: str
    remedy: str | None


class Diagnosis(Output):
    """What is right and wrong with an account; `level` is that of the gravest check."""

    level: str
    checks: list[Check]


class ChannelRead(Output):
    """A channel config. `credentials_set` names the credentials that are kept; `webhook_url` is for the platform.

    `checks` tells how connecting went, in the answer to it.
    """

    id: UUID
    brand_id: UUID
    channel: str
    name: str
    account_id: str | None
    status: str
    status_reason: str | None
    settings: dict[str, Any]
    credentials_set: list[str]
    webhook_url: str
    created_at: datetime
    checks: list[Check] = []
