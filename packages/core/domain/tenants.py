"""Tenants, their brands, and what their people may do."""

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A company on this installation."""

    id: str
    slug: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandProfile:
    """Who the bot speaks as: a brand and its published persona."""

    id: str
    tenant_id: str
    name: str
    locale: str = "en"
    timezone: str = "UTC"
    knowledge_version: int = 0
    display_name: str = ""
    tone: str = "friendly, clear and brief"
    instructions: str = ""
    languages: tuple[str, ...] = ()
    greeting: str = ""
    sign_off: str = ""
    fallback_message: str = ""
    handover_message: str = ""
    settings: dict[str, object] = field(default_factory=dict)


class Role(StrEnum):
    """Each role may do what the ones below it may."""

    PLATFORM_ADMIN = "platform_admin"
    TENANT_ADMIN = "tenant_admin"
    AGENT = "agent"
    VIEWER = "viewer"

    def includes(self, other: "Role") -> bool:
        """Whether this role may act as `other`."""
        order = list(Role)
        return order.index(self) <= order.index(other)
