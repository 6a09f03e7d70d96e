"""A brand's actions, ready to be offered and called; read from the database once in a few seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from cachetools import TTLCache
from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy import select
from sqlmodel import col

from packages.core.crypto import SecretBox, UndecryptableSecret
from packages.core.db.session import Database
from packages.core.db.tables.actions import ActionConfig
from services.orchestrator.actions import Action, Identity, Risk, Tool
from services.orchestrator.outside import SIGNING_SECRET

log = structlog.get_logger(__name__)
CACHE_SECONDS = 5.0
MOST_TOOLS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """One action of a brand. `needs_approval` and `identity` of a tool are what holds for this brand."""

    id: UUID
    kind: str
    action: Action
    settings: Any
    secret: str = field(repr=False)
    tools: tuple[Tool, ...]
    approval: str | None
    is_dry: bool

    def needs_approval(self, tool: Tool) -> bool:
        """Whether a person lets each call of the tool happen: the admin's word, else the action's."""
        if self.approval is not None:
            return self.approval == "always"
        return self.action.needs_approval or tool.risk is Risk.DANGEROUS


class Configs:
    """Every brand's actions.

    Args:
        registry: the actions that are installed.
    """

    def __init__(self, database: Database, box: SecretBox, registry: Mapping[str, Action]) -> None:
        self._database = database
        self._box = box
        self._registry = registry
        self._cached: TTLCache[UUID, tuple[Configured, ...]] = TTLCache(maxsize=4096, ttl=CACHE_SECONDS)

    async def of_brand(self, tenant_id: UUID, brand_id: UUID) -> tuple[Configured, ...]:
        """The enabled actions of a brand, the oldest first."""
        found = self._cached.get(brand_id)
        if found is None:
            wanted = (
                select(ActionConfig)
                .where(col(ActionConfig.brand_id) == brand_id, col(ActionConfig.is_enabled))
                .order_by(col(ActionConfig.created_at), col(ActionConfig.id))
            )
            async with self._database.tenant(tenant_id) as session:
                rows = (await session.scalars(wanted)).all()
            found = self._cached[brand_id] = tuple(self._ready(rows))
        return found

    def forget(self, brand_id: UUID) -> None:
        """Read the brand's actions anew; other processes do within seconds."""
        self._cached.pop(brand_id, None)

    def ready(self, row: ActionConfig) -> Configured:
        """One action as its row has it.

        Raises:
            UndecryptableSecret, KeyError (no such action installed), ValidationError: it cannot be used.
        """
        action = self._registry[row.action]
        sealed = self._box.open(row.secrets) if row.secrets else {}
        secret = str(sealed.pop(SIGNING_SECRET, ""))
        return Configured(
            id=row.id,
            kind=row.action,
            action=action,
            settings=action.Settings.model_validate({**row.settings, **sealed}),
            secret=secret,
            tools=tuple(_tool(stored, row) for stored in row.tools),
            approval=row.approval,
            is_dry=row.dry_run,
        )

    def _ready(self, rows: Sequence[ActionConfig]) -> list[Configured]:
        """Those that can be used; one that cannot never stands in the way of the others."""
        found = []
        for row in rows:
            try:
                found.append(self.ready(row))
            except (UndecryptableSecret, KeyError, ValidationError) as error:
                log.error("action_unusable", config_id=str(row.id), action=row.action, error=type(error).__name__)
        return found


def _tool(stored: Mapping[str, Any], row: ActionConfig) -> Tool:
    """A stored tool; the admin may demand a verified customer where the tool does not, never the other way round."""
    return Tool(
        name=stored["name"],
        description=stored["description"],
        parameters=stored["parameters"],
        risk=Risk(stored["risk"]),
        identity=Identity.VERIFIED if row.identity == Identity.VERIFIED else Identity(stored["identity"]),
        remote=stored.get("remote", ""),
    )


def stored(tool: Tool) -> dict[str, object]:
    """A tool as a row keeps it."""
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "risk": str(tool.risk),
        "identity": str(tool.identity),
        "remote": tool.remote,
    }


def secret_fields(settings: type[BaseModel]) -> frozenset[str]:
    """The settings that are kept sealed."""
    return frozenset(name for name, part in settings.model_fields.items() if _is_secret(part.annotation))


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or SecretStr in getattr(annotation, "__args__", ())
