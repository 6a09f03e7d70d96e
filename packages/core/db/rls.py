"""Row-level security as migrations set it up: two roles that own nothing, and policies on every tenant table."""

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.session import APP_ROLE, SYSTEM_ROLE

_CREATE_ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'the_role') THEN
        CREATE ROLE the_role NOLOGIN NOSUPERUSER NOBYPASSRLS;
    END IF;
    EXECUTE format('GRANT the_role TO %I', current_user);
END $$
"""


def create_roles() -> Iterator[str]:
    """SQL that makes both roles if absent and lets the migrating login use them."""
    for role in (APP_ROLE, SYSTEM_ROLE):
        yield _CREATE_ROLE.replace("the_role", role)
        yield f"GRANT USAGE ON SCHEMA public TO {role}"


def protect(table: str, tenant_column: str = "tenant_id") -> Iterator[str]:
    """SQL that shows a table's rows to their own tenant, and to the loops that serve all tenants."""
    own = f"{tenant_column} = NULLIF(current_setting('parley.tenant_id', true), '')::uuid"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP_ROLE}, {SYSTEM_ROLE}"
    yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
    yield f"CREATE POLICY own_tenant ON {table} TO {APP_ROLE} USING ({own}) WITH CHECK ({own})"
    yield f"CREATE POLICY every_tenant ON {table} TO {SYSTEM_ROLE} USING (true) WITH CHECK (true)"


class UnsafeRole(Exception):
    """The database lets this login see across tenants; the message says what to change."""


_MAY_BYPASS = text(
    "SELECT current_user, r.rolsuper, r.rolbypassrls, EXISTS (SELECT 1 FROM pg_class c WHERE c.relkind = 'r' "
    "AND c.relnamespace = 'public'::regnamespace AND pg_has_role(r.oid, c.relowner, 'USAGE')) AS owns_tables "
    "FROM pg_roles r WHERE r.rolname = current_user"
)


async def refuse_bypass(session: AsyncSession) -> None:
    """Raise unless row-level security binds the session's role: no superuser, no BYPASSRLS, no owner of tables.

    Raises:
        UnsafeRole: at start-up, rather than at the first leak.
    """
    role = (await session.execute(_MAY_BYPASS)).one()
    if role.rolsuper or role.rolbypassrls or role.owns_tables:
        raise UnsafeRole(
            f"The database role {role.current_user} could go around row-level security (superuser, BYPASSRLS or owner "
            f"of tables). Give the services a login that is a member of {APP_ROLE} and {SYSTEM_ROLE} and nothing more."
        )
