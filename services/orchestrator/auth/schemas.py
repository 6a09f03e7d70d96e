"""Bodies of log-in and API keys."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from packages.core.domain.tenants import Role
from services.orchestrator.auth.permissions import Scope


class Input(BaseModel):
    """A body; an unknown field is an error rather than a wish that is silently not granted."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Output(BaseModel):
    """An answer, read off a table row."""

    model_config = ConfigDict(from_attributes=True)


def _long_enough(password: SecretStr) -> SecretStr:
    if not 10 <= len(password.get_secret_value()) <= 200:
        raise ValueError("a password has 10 to 200 characters")
    return password


Password = Annotated[SecretStr, AfterValidator(_long_enough)]
Email = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")
]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class TokenPair(BaseModel):
    """What a log-in gives. `expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    token_type: str = "bearer"  # noqa: S105 - the scheme's name
    expires_in: int


class Refresh(Input):
    """A refresh token, to be changed for a new pair."""

    refresh_token: str = Field(max_length=4000)


class Me(BaseModel):
    """The caller. `scopes` is null for people, whose role alone decides."""

    id: UUID
    kind: str
    name: str
    email: str | None
    role: Role
    tenant_id: UUID | None
    scopes: list[str] | None


class APIKeyCreate(Input):
    """A key for a program: what it is called, and the least that it must be able to do."""

    name: Name
    role: Role = Role.AGENT
    scopes: list[Scope] = Field(min_length=1)


class APIKeyRead(Output):
    """A key; the token itself is shown once, when it is made."""

    id: UUID
    name: str
    role: Role
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None


class APIKeyCreated(APIKeyRead):
    """A new key with its token. Keep it: it cannot be shown again."""

    token: str
