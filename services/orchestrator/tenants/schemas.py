"""Bodies of tenants and their users."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from packages.core.domain.tenants import Role
from services.orchestrator.auth.schemas import Email, Input, Name, Output, Password, Slug


class TenantCreate(Input):
    """A company and its first admin."""

    name: Name
    slug: Slug
    admin_email: Email
    admin_password: Password


class TenantRead(Output):
    """A tenant."""

    id: UUID
    name: str
    slug: str
    status: str
    created_at: datetime


class TenantCreated(TenantRead):
    """A new tenant with the id of its first admin."""

    admin_id: UUID


class UserCreate(Input):
    """A person of the caller's tenant."""

    email: Email
    name: Name
    password: Password
    role: Literal[Role.TENANT_ADMIN, Role.AGENT, Role.VIEWER] = Role.AGENT


class UserUpdate(Input):
    """What is given is changed. A new password or role, or `is_active: false`, ends the user's sessions."""

    name: Name | None = None
    password: Password | None = None
    role: Literal[Role.TENANT_ADMIN, Role.AGENT, Role.VIEWER] | None = None
    is_active: bool | None = None


class UserRead(Output):
    """A person of the tenant."""

    id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    created_at: datetime
