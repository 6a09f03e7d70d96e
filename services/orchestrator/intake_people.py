"""The people of a batch of messages: found by any of the ids that the platform gave, or made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from packages.core.db.base import new_id
from packages.core.db.direct import Statement, Transaction


@dataclass(slots=True)
class Person:
    """Who a conversation of the batch is with. `customer_id` is set by `find_customers`."""

    tenant_id: str
    channel_config_id: str
    ids: tuple[str, ...]
    name: str | None
    customer_id: UUID | None = None


_KNOWN = Statement("""
SELECT i.channel_config_id, i.external_id, i.customer_id
FROM unnest(CAST(:accounts AS uuid[]), CAST(:ids AS text[])) AS r(channel_config_id, external_id)
JOIN customer_identity i ON i.channel_config_id = r.channel_config_id AND i.external_id = r.external_id
""")

_NEW_CUSTOMERS = Statement("""
WITH r AS (
    SELECT r.*, c.brand_id FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(id uuid, tenant_id uuid, channel_config_id uuid, name text)
    JOIN channel_config c ON c.id = r.channel_config_id AND c.tenant_id = r.tenant_id
)
INSERT INTO customer (id, tenant_id, brand_id, name, attributes, created_at)
SELECT id, tenant_id, brand_id, name, '{}', now() FROM r
""")

_NEW_IDENTITIES = Statement("""
INSERT INTO customer_identity (id, tenant_id, channel_config_id, external_id, customer_id, created_at)
SELECT gen_random_uuid(), r.tenant_id, r.channel_config_id, r.external_id, r.customer_id, now()
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS r(tenant_id uuid, channel_config_id uuid, external_id text, customer_id uuid)
ORDER BY r.channel_config_id, r.external_id
ON CONFLICT (channel_config_id, external_id) DO UPDATE SET external_id = excluded.external_id
RETURNING channel_config_id, external_id, customer_id
""")

_DROP_ORPHANS = Statement("DELETE FROM customer WHERE id = ANY(:ids)")


async def find_customers(on: Transaction, people: Sequence[Person]) -> None:
    """Find or make the customer of each conversation, by any of the ids that the platform gave."""
    pairs = [(person.channel_config_id, own_id) for person in people for own_id in person.ids]
    known: dict[tuple[str, str], UUID] = {}
    for row in await _KNOWN.fetch(
        on, accounts=[UUID(account) for account, _ in pairs], ids=[own_id for _, own_id in pairs]
    ):
        known[str(row.channel_config_id), row.external_id] = row.customer_id
    new: dict[UUID, Person] = {}
    for person in people:
        found = [known[pair] for own_id in person.ids if (pair := (person.channel_config_id, own_id)) in known]
        person.customer_id = found[0] if found else new_id()
        if not found:
            new[person.customer_id] = person
            for own_id in person.ids:
                known[person.channel_config_id, own_id] = person.customer_id
    if new:
        await _make_customers(on, new)
    await _make_identities(on, people, known, set(new))


async def _make_customers(on: Transaction, new: dict[UUID, Person]) -> None:
    rows = [
        {"id": own, "tenant_id": person.tenant_id, "channel_config_id": person.channel_config_id, "name": person.name}
        for own, person in new.items()
    ]
    await _NEW_CUSTOMERS.fetch(on, rows=_json(rows))


async def _make_identities(
    on: Transaction,
    people: Sequence[Person],
    known: dict[tuple[str, str], UUID],
    new: set[UUID],
) -> None:
    """Identities that are not there yet. If another process was faster, its customer is taken and ours dropped."""
    rows = [
        {
            "tenant_id": person.tenant_id,
            "channel_config_id": person.channel_config_id,
            "external_id": own_id,
            "customer_id": person.customer_id,
        }
        for person in people
        for own_id in dict.fromkeys(person.ids)
        if person.customer_id in new or (person.channel_config_id, own_id) not in known
    ]
    if not rows:
        return
    unique = {(row["channel_config_id"], row["external_id"]): row for row in rows}
    owners: dict[tuple[str, str], UUID] = {}
    for row in await _NEW_IDENTITIES.fetch(on, rows=_json(list(unique.values()))):
        owners[str(row.channel_config_id), row.external_id] = row.customer_id
    orphans: list[UUID] = []
    for person in people:
        owner = owners.get((person.channel_config_id, person.ids[0]))
        if owner and owner != person.customer_id:
            if person.customer_id in new:
                orphans.append(person.customer_id)
            person.customer_id = owner
    if orphans:
        await _DROP_ORPHANS.fetch(on, ids=orphans)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
