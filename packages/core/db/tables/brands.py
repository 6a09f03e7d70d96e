"""Brands, their personas and automation rules."""

from uuid import UUID

from sqlalchemy import ARRAY, Index, Text, UniqueConstraint
from sqlmodel import Field

from packages.core.db.base import TenantRow, json_field


class Brand(TenantRow, table=True):
    """A tenant's face to its customers. `knowledge_version` grows with every change of its knowledge."""

    __table_args__ = (UniqueConstraint("tenant_id", "slug"),)

    slug: str = Field(max_length=64)
    name: str = Field(max_length=200)
    locale: str = Field(default="en", max_length=20)
    timezone: str = Field(default="UTC", max_length=64)
    knowledge_version: int = 0
    settings: dict[str, object] = json_field()


class PersonaProfile(TenantRow, table=True):
    """How a brand's bot speaks."""

    __tablename__ = "persona_profile"
    __table_args__ = (
        UniqueConstraint("brand_id"),
        Index("ix_persona_profile_tenant_id", "tenant_id"),
    )

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    display_name: str = Field(max_length=200)
    tone: str = Field(default="friendly, clear and brief", max_length=2000)
    instructions: str = ""
    languages: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)
    greeting: str = ""
    sign_off: str = ""
    fallback_message: str = ""
    handover_message: str = ""
    version: int = 1


class AutomationRule(TenantRow, table=True):
    """When something holds, then do something; tried in order of `position`."""

    __tablename__ = "automation_rule"
    __table_args__ = (Index("ix_automation_rule_brand_id_position", "brand_id", "position"),)

    brand_id: UUID = Field(foreign_key="brand.id", ondelete="CASCADE")
    name: str = Field(max_length=200)
    position: int = 0
    is_enabled: bool = True
    conditions: list[object] = json_field(list)
    actions: list[object] = json_field(list)
