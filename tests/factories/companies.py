"""A company on the API: a tenant with a brand, and a client for each of its people."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

import httpx
from fastapi import FastAPI
from sqlalchemy import text

from packages.core.db.session import Database
from packages.core.db.tables.accounts import User
from packages.core.domain.tenants import Role
from services.orchestrator.auth import passwords
from services.orchestrator.auth.tokens import Tokens
from services.orchestrator.parts import Parts
from tests.factories.accounts import TenantWithBrand, make_tenant

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Company:
    """Ids, and clients that are logged in as an admin, an agent and a viewer."""

    owner: TenantWithBrand
    admin: httpx.AsyncClient
    agent: httpx.AsyncClient
    viewer: httpx.AsyncClient
    agent_id: UUID
    viewer_id: UUID

    @property
    def tenant_id(self) -> UUID:
        """The tenant."""
        return self.owner.tenant_id

    @property
    def brand_id(self) -> UUID:
        """Its one brand."""
        return self.owner.brand_id


class Installation:
    """The running application, and clients to it."""

    def __init__(self, app: FastAPI, database: Database) -> None:
        self.app = app
        self.database = database
        self._password_hash: str | None = None

    @property
    def parts(self) -> Parts:
        """The parts that the lifespan built."""
        parts: Parts = self.app.state.parts
        return parts

    def client(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        """A client, logged in with a token."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://parley.test", headers=headers, timeout=30
        )

    async def user(self, role: Role, email: str, tenant_id: UUID | None = None) -> User:
        """A person with the password `PASSWORD`."""
        if self._password_hash is None:
            self._password_hash = await passwords.hashed(PASSWORD)
        user = User(
            tenant_id=tenant_id, email=email, name=email.split("@")[0], role=role, password_hash=self._password_hash
        )
        async with self.database.across_tenants() as session:
            session.add(user)
        return user

    def logged_in(self, user: User, **headers: str) -> httpx.AsyncClient:
        """A client with an access token of the user."""
        token = self.parts.get(Tokens).issue("access", user.id, user.token_version)
        return self.client(token, **headers)

    async def platform_admin(self, **headers: str) -> httpx.AsyncClient:
        """A client logged in as a platform admin."""
        return self.logged_in(await self.user(Role.PLATFORM_ADMIN, "root@parley.test"), **headers)

    async def company(self, slug: str) -> Company:
        """A tenant with a brand, an admin, an agent and a viewer."""
        owner = await make_tenant(self.database, slug)
        people = {
            role: await self.user(role, f"{role}@{slug}.test", owner.tenant_id)
            for role in (Role.TENANT_ADMIN, Role.AGENT, Role.VIEWER)
        }
        clients = {role: self.logged_in(user) for role, user in people.items()}
        return Company(
            owner,
            clients[Role.TENANT_ADMIN],
            clients[Role.AGENT],
            clients[Role.VIEWER],
            people[Role.AGENT].id,
            people[Role.VIEWER].id,
        )

    async def quiet(self) -> None:
        """Let turns under way end, and begin no more: the tables are about to be emptied."""
        waiting = 1
        while waiting:
            async with self.database.across_tenants() as session:
                await session.execute(text("DELETE FROM pending_turn WHERE lease_token IS NULL"))
                waiting = await session.scalar(text("SELECT count(*) FROM pending_turn")) or 0
            await asyncio.sleep(0.02 if waiting else 0)
