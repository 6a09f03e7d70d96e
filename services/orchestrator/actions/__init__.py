"""What an action is: something that the bot may do besides answering. Each neighbour exports `action`, one of these.

An action states what it needs and what it risks; the registry, the checks of arguments and identity, approval, the
once-only record and the time limit lie outside (`services.orchestrator.acting`), once for all. What a customer writes
or a document says can ask for a call, and never changes any of this. An action from outside the repository joins
through the entry point group `parley.actions`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from packages.core.db.session import Database
from packages.core.domain.actions import ActionResult
from packages.core.domain.tenants import BrandProfile
from packages.rag.retrieval import Knowledge
from services.orchestrator.outside import Outside

__all__ = ["Action", "ActionFailed", "ActionResult", "Context", "Customer", "Identity", "NoSettings", "Risk", "Tool"]


class Identity(StrEnum):
    """Whom an action may serve: anyone who writes, or only a customer whose identity was proved."""

    ANYONE = "anyone"
    VERIFIED = "verified"


class Risk(StrEnum):
    """What a call can do: look something up, add or change something that people can undo, or more than that."""

    READ = "read"
    WRITE = "write"
    DANGEROUS = "dangerous"


class ActionFailed(Exception):
    """The call did not work out. `message` is for people and models, without secrets.

    `is_certain`: nothing happened there, so that it may be tried again; otherwise nobody knows.
    """

    def __init__(self, code: str, message: str, *, is_certain: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.is_certain = is_certain


class NoSettings(BaseModel):
    """An action that needs no setting."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """What the model sees of an action: a name, what it is for, and the JSON schema of its arguments.

    An argument whose schema has `"x-said": true` must stand in the customer's own words; the model may not make it up.
    `remote` is the tool's name at its server, where that differs.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    risk: Risk
    identity: Identity
    remote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Who writes. `is_verified` comes from the customer's record alone, as do all values that bind a call to them."""

    id: UUID | None = None
    name: str | None = None
    external_id: str = ""
    channel: str = ""
    is_verified: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a call has at hand. `settings` is the action's own model, secrets included.

    `call_id` identifies the call on every repeat; an endpoint gets it as its idempotency key. `secret` signs requests.
    """

    tenant_id: UUID
    brand: BrandProfile
    call_id: UUID
    config_id: UUID
    tool: Tool
    settings: Any
    database: Database
    outside: Outside
    knowledge: Knowledge | None = None
    conversation_id: UUID | None = None
    customer: Customer = Customer()
    language: str = "en"
    secret: str = field(default="", repr=False)
    seconds: float = 8.0


class Action(ABC):
    """One kind of action. Stateless: what a brand sets is in the context.

    `description` is for the admin and, unless the brand has its own, for the model. Fields of `Settings` of the type
    SecretStr are kept sealed and never come back. `needs_approval`: a person lets each call happen, unless the admin
    decides otherwise. `is_repeatable`: running again with the same `call_id` does nothing twice.
    """

    description: ClassVar[str]
    Arguments: ClassVar[type[BaseModel]]
    Settings: ClassVar[type[BaseModel]] = NoSettings
    risk: ClassVar[Risk] = Risk.READ
    identity: ClassVar[Identity] = Identity.ANYONE
    needs_approval: ClassVar[bool] = False
    is_repeatable: ClassVar[bool] = True
    seconds: ClassVar[float] = 8.0

    async def tools(self, name: str, description: str, settings: Any, outside: Outside, secret: str) -> list[Tool]:
        """What the model is offered once an admin has saved these settings; one tool of this name by default.

        Raises:
            ActionFailed: the settings do not work; the message says why.
        """
        parameters = self.Arguments.model_json_schema()
        tool = Tool(
            name=name,
            description=description or self.description,
            parameters=parameters,
            risk=self.risk,
            identity=self.identity,
        )
        return [tool]

    @abstractmethod
    async def run(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """Do it, with arguments that fit the tool's schema. The data of the result is shown to model and people.

        Raises:
            ActionFailed: it did not work out.
        """

    @abstractmethod
    async def rehearse(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """The dry run: what `run` would do, without any effect outside or in the database.

        Raises:
            ActionFailed: it would not work.
        """
