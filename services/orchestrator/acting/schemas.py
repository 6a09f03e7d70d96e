"""Bodies of a brand's actions and of their calls. Secrets go in and never come out."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from services.orchestrator.auth.schemas import Input, Output

ToolName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
Approval = Literal["always", "never"]
CallStatus = Literal["running", "waiting", "done", "failed", "in_doubt", "denied", "expired"]


class ActionKind(Output):
    """An action that is installed; `settings_schema` is the form that an admin fills in."""

    action: str
    description: str
    risk: str
    identity: str
    needs_approval: bool
    settings_schema: dict[str, Any]
    secret_settings: list[str]


class ActionCreate(Input):
    """An action for a brand's bot. `name` is what the model sees; an MCP server's tools get it as their prefix.

    `identity` verified and `approval` always make it stricter than the action asks for; `approval` never lets calls
    happen without a person where the action would have one asked.
    """

    action: str = Field(max_length=64, examples=["order_lookup"])
    name: ToolName
    description: str = Field("", max_length=1000, description="what it is for, in words for the model")
    settings: dict[str, Any] = Field(default_factory=dict, repr=False)
    identity: Literal["verified"] | None = None
    approval: Approval | None = None
    is_enabled: bool = True
    dry_run: bool = Field(False, description="calls are rehearsed: nothing happens outside")


class ActionUpdate(Input):
    """What is given is changed. `settings` are replaced as a whole, but secrets that are left out stay."""

    name: ToolName | None = None
    description: str | None = Field(None, max_length=1000)
    settings: dict[str, Any] | None = Field(None, repr=False)
    identity: Literal["verified", "anyone"] | None = None
    approval: Literal["always", "never", "default"] | None = None
    is_enabled: bool | None = None
    dry_run: bool | None = None


class ToolRead(Output):
    """What the model is offered."""

    name: str
    description: str
    parameters: dict[str, Any]
    risk: str
    identity: str


class ActionRead(Output):
    """A brand's action. `secrets_set` names the secrets that are kept."""

    id: UUID
    brand_id: UUID
    action: str
    name: str
    description: str
    is_enabled: bool
    dry_run: bool
    identity: str | None
    approval: str | None
    settings: dict[str, Any]
    secrets_set: list[str]
    tools: list[ToolRead]
    created_at: datetime
    updated_at: datetime


class ActionCreated(ActionRead):
    """The signing secret is shown this once: requests carry its HMAC in X-Parley-Signature."""

    signing_secret: str


class DryRun(Input):
    """Arguments to try; `tool` only where the action has several."""

    tool: str | None = Field(None, max_length=130)
    arguments: dict[str, Any] = Field(default_factory=dict)


class DryRunResult(Output):
    """What the arguments became, and what would be done with them."""

    ok: bool
    arguments: dict[str, Any]
    repairs: list[str]
    problems: list[str]
    data: dict[str, Any]
    error: str | None


class Decision(Input):
    """Why it is allowed or not, for the record."""

    note: str = Field("", max_length=500)


class CallRead(Output):
    """One call: who asked for what, who let it happen, and what came of it."""

    id: UUID
    brand_id: UUID
    config_id: UUID | None
    conversation_id: UUID | None
    action: str
    name: str
    status: str
    step: int
    requested_by: str
    dry_run: bool
    arguments: dict[str, Any]
    repairs: list[str]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    attempts: int
    ms: float | None
    trace_id: str | None
    decided_by: UUID | None
    decided_at: datetime | None
    decision_note: str | None
    expires_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
