"""One file per aggregate. Importing this package registers all tables, as migrations need."""

from packages.core.db.tables import (
    accounts,
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
