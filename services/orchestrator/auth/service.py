"""Log-in, refresh, API keys, and the first platform admin."""

from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core import crypto
from packages.core.config import Settings
from packages.core.db.base import now
from packages.core.db.repository import get
from packages.core.db.session import Database
from packages.core.db.tables.accounts import APIKey, User
from packages.core.domain.tenants import Role
from packages.core.errors import Forbidden, NotFound, Unauthenticated
from services.orchestrator.auth import passwords, repository
from services.orchestrator.auth.attempts import Attempts
from services.orchestrator.auth.permissions import KEY_PREFIX, Principal
from services.orchestrator.auth.schemas import APIKeyCreate, TokenPair
from services.orchestrator.auth.tokens import Tokens

log = structlog.get_logger(__name__)


async def log_in(
    database: Database, tokens: Tokens, attempts: Attempts, *, email: str, password: str, address: str
) -> TokenPair:
    """Change an e-mail and a password for tokens.

    Raises:
        Unauthenticated: no such user, or the wrong password; which of them is not told, nor does the time tell.
        RateLimited: too many attempts.
    """
    email = email.strip().lower()
    await attempts.begin(email, address)
    async with database.across_tenants() as session:
        user = await repository.user_by_email(session, email)
        live = await repository.live_user(session, user.id) if user else None
    right = await passwords.matches(password, live.password_hash if live else None)
    if live is None or not right:
        log.warning("login_failed", address=address)
        raise Unauthenticated("The e-mail or the password is wrong.")
    await attempts.succeeded(email, address)
    return _pair(tokens, live)


async def refresh(database: Database, tokens: Tokens, refresh_token: str) -> TokenPair:
    """Change a refresh token for new tokens.

    Raises:
        Unauthenticated: it is forged or expired, or the user was logged out or shut out since.
    """
    claims = tokens.read("refresh", refresh_token)
    async with database.across_tenants() as session:
        user = await repository.live_user(session, claims.user_id)
    if user is None or user.token_version != claims.token_version:
        raise Unauthenticated("The token is not valid, or no longer; log in again.")
    return _pair(tokens, user)


def _pair(tokens: Tokens, user: User) -> TokenPair:
    return TokenPair(
        access_token=tokens.issue("access", user.id, user.token_version),
        refresh_token=tokens.issue("refresh", user.id, user.token_version),
        expires_in=tokens.expires_in,
    )


async def create_key(session: AsyncSession, principal: Principal, new: APIKeyCreate) -> tuple[APIKey, str]:
    """A new API key and its token, which is not kept.

    Raises:
        Forbidden: a key cannot be worth more than who makes it, nor serve the whole platform.
    """
    if new.role is Role.PLATFORM_ADMIN or not principal.identity.role.includes(new.role):
        raise Forbidden("An API key belongs to one tenant and may have at most your own role.")
    token = crypto.new_token(KEY_PREFIX)
    key = APIKey(
        tenant_id=principal.tenant_id,
        name=new.name,
        token_hash=crypto.token_hash(token),
        role=str(new.role),
        scopes=sorted(set(new.scopes)),
    )
    session.add(key)
    await session.flush()
    return key, token


async def revoke_key(session: AsyncSession, key_id: UUID) -> None:
    """End a key at once.

    Raises:
        NotFound: there is no such key, or it was revoked before.
    """
    key = await get(session, APIKey, key_id)
    if key.revoked_at is not None:
        raise NotFound("There is no api key with this id.")
    key.revoked_at = now()


async def ensure_platform_admin(database: Database, settings: Settings) -> None:
    """Make the first platform admin, if there is none yet and a password is set. Replicas may all try."""
    async with database.across_tenants() as session:
        if await repository.has_platform_admin(session):
            return
    if settings.admin_password is None:
        log.warning(
            "no_platform_admin",
            advice="Nobody can log in: set PARLEY_ADMIN_EMAIL and PARLEY_ADMIN_PASSWORD, then start again.",
        )
        return
    user = User(
        email=settings.admin_email.strip().lower(),
        name="Platform admin",
        password_hash=await passwords.hashed(settings.admin_password.get_secret_value()),
        role=str(Role.PLATFORM_ADMIN),
    )
    try:
        async with database.across_tenants() as session:
            session.add(user)
    except IntegrityError:
        log.info("platform_admin_exists", email=user.email)
        return
    log.info("platform_admin_created", email=user.email)
