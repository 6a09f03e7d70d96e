"""Tenants with a brand, ready to use."""

from dataclasses import dataclass
from uuid import UUID

from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.accounts import Tenant
from packages.core.db.tables.brands import Brand, PersonaProfile


@dataclass(frozen=True)
class TenantWithBrand:
    """Ids of what was made."""

    tenant_id: UUID
    brand_id: UUID


async def make_tenant(database: Database, slug: str = "acme") -> TenantWithBrand:
    """A tenant with one brand and its persona."""
    tenant = Tenant(slug=f"{slug}-{new_id().hex[-8:]}", name=slug.title())
    async with database.across_tenants() as session:
        session.add(tenant)
        await session.flush()
        brand = Brand(tenant_id=tenant.id, slug=slug, name=slug.title())
        session.add(brand)
        await session.flush()
        session.add(PersonaProfile(tenant_id=tenant.id, brand_id=brand.id, display_name=f"{slug.title()} Helper"))
    return TenantWithBrand(tenant.id, brand.id)
