"""One file per aggregate. Importing this package registers all tables, as migrations need."""

from packages.core.db.tables import (
    accounts,
    actions,
    brands,
    channels,
    conversations,
    customers,
    deliveries,
    evaluations,
    gaps,
    knowledge,
    ledger,
    media,
)

__all__ = [
    "accounts",
    "actions",
    "brands",
    "channels",
    "conversations",
    "customers",
    "deliveries",
    "evaluations",
    "gaps",
    "knowledge",
    "ledger",
    "media",
]
