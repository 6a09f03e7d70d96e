"""Open a ticket for the brand's people, and tell the brand's own system through a signed webhook."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.orchestrator.actions import Action, ActionResult, Context, Risk, Tool
from services.orchestrator.outside import Outside
from services.orchestrator.tickets import service
from services.orchestrator.tickets.service import NewTicket
from services.orchestrator.tickets.webhooks import usable_url

Priority = Literal["low", "normal", "high", "urgent"]


class Arguments(BaseModel):
    """What the ticket says."""

    subject: str = Field(min_length=3, max_length=200, description="What the customer needs, in one line.")
    description: str = Field("", max_length=4000, description="What the person who takes it has to know.")
    priority: Priority = Field("normal", description="high only if the customer cannot wait.")
    category: str | None = Field(None, max_length=64)


class Settings(BaseModel):
    """`categories` are the ones to choose from; `webhook_url` is told of each ticket, `highest_priority` bounds it."""

    model_config = ConfigDict(extra="forbid")

    categories: list[str] = Field(default_factory=list, max_length=50)
    highest_priority: Priority = "high"
    webhook_url: str | None = Field(None, max_length=2000)

    _url = field_validator("webhook_url")(usable_url)


class CreateTicket(Action):
    """A row of our own; running again with the same call opens no second one."""

    description = "Opens a ticket for a person to work on, when the matter cannot be settled in this conversation."
    Arguments = Arguments
    Settings = Settings
    risk = Risk.WRITE

    async def tools(self, name: str, description: str, settings: Any, outside: Outside, secret: str) -> list[Tool]:
        """One tool; the brand's categories become a choice."""
        [tool] = await super().tools(name, description, settings, outside, secret)
        properties = tool.parameters["properties"]
        if settings.categories:
            properties["category"] = {"type": "string", "enum": settings.categories}
        else:
            del properties["category"]
        return [tool]

    async def run(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """Open it; the webhook goes out once that is committed."""
        new = _new(arguments, context)
        async with context.database.tenant(context.tenant_id) as session:
            ticket = await service.open_ticket(session, context.tenant_id, new)
        return ActionResult(name=context.tool.name, ok=True, data={"ticket": ticket.number, "status": ticket.status})

    async def rehearse(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """What the ticket would say."""
        new = _new(arguments, context)
        data = {"subject": new.subject, "priority": new.priority, "category": new.category}
        return ActionResult(name=context.tool.name, ok=True, data=data)


def _new(arguments: dict[str, Any], context: Context) -> NewTicket:
    asked = Arguments.model_validate(arguments)
    settings: Settings = context.settings
    order = ["low", "normal", "high", "urgent"]
    return NewTicket(
        brand_id=context.brand.id,
        kind="ticket",
        subject=asked.subject,
        body=asked.description,
        category=asked.category,
        priority=min(asked.priority, settings.highest_priority, key=order.index),
        conversation_id=context.conversation_id,
        customer_id=context.customer.id,
        call_id=context.call_id,
        config_id=context.config_id,
        has_hook=settings.webhook_url is not None,
    )


action = CreateTicket()
