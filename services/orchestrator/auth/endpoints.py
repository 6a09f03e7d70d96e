"""Log-in and API keys."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.security import OAuth2PasswordRequestForm

from packages.core.db.repository import Page
from packages.core.db.tables.accounts import APIKey
from packages.core.domain.tenants import Role
from services.orchestrator.auth import repository, service
from services.orchestrator.auth.attempts import Attempts
from services.orchestrator.auth.permissions import Principal, TheIdentity, require
from services.orchestrator.auth.schemas import APIKeyCreate, APIKeyCreated, APIKeyRead, Me, Refresh, TokenPair
from services.orchestrator.auth.tokens import Tokens
from services.orchestrator.paging import Listed, whole
from services.orchestrator.parts import TheDatabase, part

router = APIRouter(prefix="/v1", tags=["auth"])
TheTokens = Annotated[Tokens, Depends(part(Tokens))]
TheAttempts = Annotated[Attempts, Depends(part(Attempts))]
KeyAdmin = Annotated[Principal, require(Role.TENANT_ADMIN)]


@router.post("/auth/token")
async def log_in(
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    request: Request,
    database: TheDatabase,
    tokens: TheTokens,
    attempts: TheAttempts,
) -> TokenPair:
    """Log in with e-mail (as `username`) and password: the OAuth2 password form."""
    address = request.client.host if request.client else "unknown"
    return await service.log_in(
        database, tokens, attempts, email=form.username, password=form.password, address=address
    )


@router.post("/auth/refresh")
async def refresh(body: Refresh, database: TheDatabase, tokens: TheTokens) -> TokenPair:
    """Change a refresh token for a new pair of tokens."""
    return await service.refresh(database, tokens, body.refresh_token)


@router.get("/me")
async def me(identity: TheIdentity) -> Me:
    """Who the caller is, and what they may do."""
    own_id = identity.user_id or identity.key_id
    assert own_id
    return Me(
        id=own_id,
        kind="user" if identity.user_id else "api_key",
        name=identity.name,
        email=identity.email,
        role=identity.role,
        tenant_id=identity.tenant_id,
        scopes=None if identity.scopes is None else sorted(identity.scopes),
    )


@router.post("/api-keys", status_code=201)
async def create_key(body: APIKeyCreate, principal: KeyAdmin, database: TheDatabase) -> APIKeyCreated:
    """Make an API key. Its token is in this answer and nowhere else."""
    async with database.tenant(principal.tenant_id) as session:
        key, token = await service.create_key(session, principal, body)
    return APIKeyCreated(**APIKeyRead.model_validate(key).model_dump(), token=token)


@router.get("/api-keys", response_model=Listed[APIKeyRead])
async def list_keys(principal: KeyAdmin, database: TheDatabase) -> Page[APIKey]:
    """The tenant's API keys, without their tokens."""
    async with database.tenant(principal.tenant_id) as session:
        return whole(await repository.keys(session))


@router.delete("/api-keys/{key_id}", status_code=204)
async def revoke_key(key_id: UUID, principal: KeyAdmin, database: TheDatabase) -> None:
    """Revoke an API key; it stops working at once."""
    async with database.tenant(principal.tenant_id) as session:
        await service.revoke_key(session, key_id)
