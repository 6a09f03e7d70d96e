"""Who calls, and what they may do: the one place where that is decided.

An endpoint states its need in its signature, `principal: Annotated[Principal, require(Role.AGENT, Scope.…)]`, and gets
a principal with the tenant it acts for. A platform admin names that tenant in `X-Tenant-Id`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import Depends, Header
from fastapi.security import OAuth2PasswordBearer

from packages.core import crypto
from packages.core.db.session import Database
from packages.core.domain.tenants import Role
from packages.core.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from services.orchestrator.auth import repository
from services.orchestrator.auth.tokens import Tokens
from services.orchestrator.parts import TheDatabase, part
from services.orchestrator.settings import OrchestratorSettings

KEY_PREFIX = "pk"
_bearer = OAuth2PasswordBearer(
    tokenUrl="/v1/auth/token",
    auto_error=False,
    description="An access token of POST /v1/auth/token, or an API key (`pk_…`).",
)
Bearer = Annotated[str | None, Depends(_bearer)]


class Scope(StrEnum):
    """What an API key may be for. A key needs the scope, and its role must allow the call as well."""

    BRANDS_READ = "brands:read"
    BRANDS_WRITE = "brands:write"
    CHANNELS_READ = "channels:read"
    CHANNELS_WRITE = "channels:write"
    KNOWLEDGE_READ = "knowledge:read"
    KNOWLEDGE_WRITE = "knowledge:write"
    ANSWERS = "answers"
    MESSAGES_WRITE = "messages:write"
    CONVERSATIONS_READ = "conversations:read"
    CONVERSATIONS_WRITE = "conversations:write"
    LEDGER_READ = "ledger:read"
    LEDGER_WRITE = "ledger:write"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_WRITE = "deliveries:write"
    STREAM = "stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person (`user_id`) or an API key (`key_id`). `scopes` is None for people: their role alone decides.

    `tenant_id` is the tenant they belong to, None for platform admins.
    """

    name: str
    role: Role
    tenant_id: UUID | None
    user_id: UUID | None = None
    key_id: UUID | None = None
    email: str | None = None
    scopes: frozenset[str] | None = None
    expires_at: datetime | None = None

    def check(self, role: Role, scope: Scope | None) -> None:
        """Allow what needs this role and scope; what has no scope is for people only.

        Raises:
            Forbidden: it is not for this caller.
        """
        if not self.role.includes(role):
            raise Forbidden(f"This needs the role {role}; yours is {self.role}.")
        if self.scopes is not None and (scope is None or scope not in self.scopes):
            raise Forbidden(f"The API key lacks the scope {scope}." if scope else "API keys may not do this.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An identity together with the tenant it acts for now."""

    identity: Identity
    tenant_id: UUID

    @property
    def user_id(self) -> UUID | None:
        """The person, or None for an API key."""
        return self.identity.user_id


async def identify(token: Bearer, database: TheDatabase, tokens: Annotated[Tokens, Depends(part(Tokens))]) -> Identity:
    """Who calls.

    Raises:
        Unauthenticated: nobody, or with a token that does not hold (any more).
    """
    if not token:
        raise Unauthenticated("Send `Authorization: Bearer …` with an access token or an API key.")
    if token.startswith(f"{KEY_PREFIX}_"):
        return await _key(database, token)
    claims = tokens.read("access", token)
    async with database.across_tenants() as session:
        user = await repository.live_user(session, claims.user_id)
    if user is None or user.token_version != claims.token_version:
        raise Unauthenticated("The token is not valid, or no longer; log in again.")
    return Identity(
        name=user.name or user.email,
        role=Role(user.role),
        tenant_id=user.tenant_id,
        user_id=user.id,
        email=user.email,
        expires_at=claims.expires_at,
    )


async def _key(database: Database, token: str) -> Identity:
    async with database.across_tenants() as session:
        key = await repository.live_key(session, crypto.token_hash(token))
        if key is None:
            raise Unauthenticated("There is no such API key, or it was revoked.")
        await repository.note_use(session, key)
    return Identity(
        name=key.name, role=Role(key.role), tenant_id=key.tenant_id, key_id=key.id, scopes=frozenset(key.scopes)
    )


TheIdentity = Annotated[Identity, Depends(identify)]
TenantHeader = Annotated[
    str | None, Header(alias="X-Tenant-Id", description="the tenant that a platform admin acts for")
]


def require(role: Role, scope: Scope | None = None) -> Any:
    """A dependency that yields the `Principal` if the caller has the role (and, as an API key, the scope).

    Raises (per request):
        Unauthenticated, Forbidden; InvalidInput: a platform admin named no tenant; NotFound: or one that is not there.
    """

    async def authorise(identity: TheIdentity, database: TheDatabase, tenant: TenantHeader = None) -> Principal:
        identity.check(role, scope)
        tenant_id = await _acting_for(identity, tenant, database)
        structlog.contextvars.bind_contextvars(tenant_id=str(tenant_id))
        return Principal(identity=identity, tenant_id=tenant_id)

    return Depends(authorise)


def require_platform_admin() -> Any:
    """A dependency for what concerns the whole installation; yields the `Identity`."""

    async def authorise(identity: TheIdentity) -> Identity:
        identity.check(Role.PLATFORM_ADMIN, None)
        return identity

    return Depends(authorise)


async def _acting_for(identity: Identity, named: str | None, database: Database) -> UUID:
    if identity.tenant_id is not None:
        if named not in {None, str(identity.tenant_id)}:
            raise NotFound("There is no tenant with this id.")
        return identity.tenant_id
    if named is None:
        raise InvalidInput("A platform admin names the tenant to act for in the header X-Tenant-Id.")
    try:
        tenant_id = UUID(named)
    except ValueError:
        raise NotFound("There is no tenant with this id.") from None
    async with database.across_tenants() as session:
        if not await repository.tenant_is_active(session, tenant_id):
            raise NotFound("There is no tenant with this id.")
    return tenant_id


async def _service(
    settings: Annotated[OrchestratorSettings, Depends(part(OrchestratorSettings))],
    secret: Annotated[str | None, Header(alias="X-Parley-Service")] = None,
) -> None:
    """Let in the other services of this installation, which know the shared secret.

    Raises:
        Unauthenticated: the secret is missing or wrong.
    """
    expected = crypto.derive_key(settings.secret, "service").hex()
    if not crypto.same(secret or "", expected):
        raise Unauthenticated("This is for the services of this installation.")


service_only = Depends(_service)
"""A dependency for calls between services: the shared secret, compared in constant time."""
