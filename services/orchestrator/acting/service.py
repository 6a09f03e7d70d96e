"""A brand's actions as its admins set them up. What needs the network is prepared before the transaction begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from packages.core.crypto import SecretBox, new_token
from packages.core.db.base import now
from packages.core.db.repository import get
from packages.core.db.tables.actions import ActionConfig
from packages.core.db.tables.brands import Brand
from packages.core.errors import Conflict, InvalidInput, NotFound, UnsupportedFormat
from services.orchestrator.acting.configs import secret_fields, stored
from services.orchestrator.acting.schemas import ActionCreate, ActionKind, ActionRead, ActionUpdate, ToolRead
from services.orchestrator.actions import Action, ActionFailed, Tool
from services.orchestrator.outside import SIGNING_SECRET, Outside
from services.orchestrator.tool_schemas import UnusableSchema, tamed


@dataclass(frozen=True, slots=True)
class Workshop:
    """What setting an action up takes."""

    registry: Mapping[str, Action]
    box: SecretBox
    outside: Outside

    def action(self, kind: str) -> Action:
        """An installed action.

        Raises:
            UnsupportedFormat: there is none of this kind.
        """
        if kind not in self.registry:
            raise UnsupportedFormat(f"There is no action {kind}. There are: {', '.join(self.registry)}.")
        return self.registry[kind]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Checked settings: the open part, the sealed part, and the tools that come of them."""

    settings: dict[str, Any]
    sealed: bytes
    tools: list[dict[str, object]]
    signing_secret: str


def catalogue(registry: Mapping[str, Action]) -> list[ActionKind]:
    """The installed actions."""
    return [
        ActionKind(
            action=kind,
            description=action.description,
            risk=action.risk,
            identity=action.identity,
            needs_approval=action.needs_approval,
            settings_schema=action.Settings.model_json_schema(),
            secret_settings=sorted(secret_fields(action.Settings)),
        )
        for kind, action in registry.items()
    ]


async def prepared(
    shop: Workshop,
    kind: str,
    name: str,
    description: str,
    settings: Mapping[str, Any],
    secrets: Mapping[str, Any] | None = None,
) -> Prepared:
    """Check settings, and ask for the tools that they give; no transaction is open meanwhile.

    Args:
        secrets: what is kept already, the signing secret included.

    Raises:
        UnsupportedFormat: no such action. InvalidInput: the settings do not fit, or do not work.
    """
    action = shop.action(kind)
    kept = dict(secrets or {})
    signing_secret = str(kept.pop(SIGNING_SECRET, "")) or new_token("sig")
    names = secret_fields(action.Settings)
    own = {**kept, **{key: value for key, value in settings.items() if value is not None or key not in names}}
    checked = _checked(action.Settings, own)
    try:
        tools = await action.tools(name, description, checked, shop.outside, signing_secret)
        ready = [stored(_tamed(tool)) for tool in tools]
    except ActionFailed as failure:
        raise InvalidInput(failure.message, details={"code": failure.code}) from failure
    except UnusableSchema as error:
        raise InvalidInput(str(error)) from error
    open_part = checked.model_dump(mode="json", exclude=set(names), exclude_unset=True)
    sealed = {key: own[key] for key in names if own.get(key)} | {SIGNING_SECRET: signing_secret}
    return Prepared(open_part, shop.box.seal(sealed), ready, signing_secret)


async def create(
    session: AsyncSession, tenant_id: UUID, brand_id: UUID, new: ActionCreate, ready: Prepared
) -> ActionConfig:
    """Store a new action.

    Raises:
        NotFound: no such brand. Conflict: the brand has a tool of this name.
    """
    await get(session, Brand, brand_id)
    config = ActionConfig(
        tenant_id=tenant_id,
        brand_id=brand_id,
        action=new.action,
        name=new.name,
        description=new.description,
        is_enabled=new.is_enabled,
        dry_run=new.dry_run,
        identity=new.identity,
        approval=new.approval,
        settings=ready.settings,
        secrets=ready.sealed,
        tools=ready.tools,
    )
    session.add(config)
    await _flush(session, config)
    return config


async def update(
    session: AsyncSession, brand_id: UUID, config_id: UUID, changes: ActionUpdate, ready: Prepared | None
) -> ActionConfig:
    """Change what is given.

    Raises:
        NotFound: no such action. Conflict: the brand has a tool of this name.
    """
    config = await config_of(session, brand_id, config_id)
    for name in ("name", "description", "is_enabled", "dry_run"):
        if (value := getattr(changes, name)) is not None:
            setattr(config, name, value)
    if changes.identity is not None:
        config.identity = None if changes.identity == "anyone" else changes.identity
    if changes.approval is not None:
        config.approval = None if changes.approval == "default" else changes.approval
    if ready is not None:
        config.settings, config.secrets, config.tools = ready.settings, ready.sealed, ready.tools
    config.updated_at = now()
    await _flush(session, config)
    return config


async def config_of(session: AsyncSession, brand_id: UUID, config_id: UUID) -> ActionConfig:
    """A brand's action.

    Raises:
        NotFound: no such action, or it is another brand's.
    """
    config = await get(session, ActionConfig, config_id)
    if config.brand_id != brand_id:
        raise NotFound("There is no action with this id.")
    return config


def shown(config: ActionConfig, box: SecretBox) -> ActionRead:
    """An action without its secrets."""
    sealed = box.open(config.secrets) if config.secrets else {}
    rest = config.model_dump(exclude={"secrets", "tools", "tenant_id"})
    tools = [ToolRead.model_validate(tool, from_attributes=False) for tool in config.tools]
    return ActionRead(**rest, secrets_set=sorted(sealed), tools=tools)


def _checked(settings: type[BaseModel], given: Mapping[str, Any]) -> BaseModel:
    """The settings; what is wrong is told by field, never with the value, which may be a secret."""
    try:
        return settings.model_validate(given)
    except ValidationError as error:
        problems = [
            {"field": ".".join(["settings", *(str(part) for part in item["loc"])]), "problem": item["msg"]}
            for item in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise InvalidInput("The settings do not fit; see details.", details={"problems": problems}) from error


def _tamed(tool: Tool) -> Tool:
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=tamed(tool.parameters),
        risk=tool.risk,
        identity=tool.identity,
        remote=tool.remote,
    )


async def _flush(session: AsyncSession, config: ActionConfig) -> None:
    """Write, unless another action of the brand has a tool of the same name."""
    others = select(col(ActionConfig.tools)).where(
        col(ActionConfig.brand_id) == config.brand_id, col(ActionConfig.id) != config.id
    )
    with session.no_autoflush:
        taken = {tool["name"] for tools in (await session.scalars(others)).all() for tool in tools}
    clash = taken & {tool["name"] for tool in config.tools}
    if clash:
        raise Conflict(f"The brand has a tool {', '.join(sorted(map(str, clash)))} already; choose another name.")
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict("The brand has an action of this name already.") from error
