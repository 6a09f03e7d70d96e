"""Have a person of the brand call the customer back, within the hours in which people call."""

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from packages.core.db.base import now
from services.orchestrator.actions import Action, ActionFailed, ActionResult, Context, Risk
from services.orchestrator.tickets import service
from services.orchestrator.tickets.service import NewTicket
from services.orchestrator.tickets.webhooks import usable_url

PHONE_CHANNELS = frozenset({"whatsapp", "twilio"})


class Arguments(BaseModel):
    """When, and at which number."""

    at: datetime = Field(description="When to call, as 2030-01-31T15:00, in the brand's time zone.")
    phone: str | None = Field(
        None,
        max_length=32,
        pattern=r"^\+?[0-9 ().-]{5,31}$",
        description="The number to call; left out where the customer writes from a phone.",
        json_schema_extra={"x-said": True},
    )
    topic: str = Field("", max_length=500, description="What the call is about.")


class Settings(BaseModel):
    """The hours of calls in the brand's time zone; `days` are 1 (Monday) to 7."""

    model_config = ConfigDict(extra="forbid")

    opens: time = time(9)
    closes: time = time(17)
    days: list[int] = Field(default_factory=lambda: [1, 2, 3, 4, 5], max_length=7)
    notice_minutes: int = Field(30, ge=0, le=7 * 24 * 60)
    furthest_days: int = Field(30, ge=1, le=365)
    webhook_url: str | None = Field(None, max_length=2000)

    _url = field_validator("webhook_url")(usable_url)


class ScheduleCallback(Action):
    """A ticket that is due at a time."""

    description = "Arranges that a person calls the customer back at a time."
    Arguments = Arguments
    Settings = Settings
    risk = Risk.WRITE

    async def run(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """Arrange it; what does not fit the hours is refused with the hours."""
        new, local = _new(arguments, context)
        async with context.database.tenant(context.tenant_id) as session:
            ticket = await service.open_ticket(session, context.tenant_id, new)
        data = {"callback": ticket.number, "at": local.isoformat(timespec="minutes"), "phone": new.contact}
        return ActionResult(name=context.tool.name, ok=True, data=data)

    async def rehearse(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """The checks alone."""
        new, local = _new(arguments, context)
        data = {"at": local.isoformat(timespec="minutes"), "phone": new.contact}
        return ActionResult(name=context.tool.name, ok=True, data=data)


def _new(arguments: dict[str, Any], context: Context) -> tuple[NewTicket, datetime]:
    asked = Arguments.model_validate(arguments)
    at = _local(asked.at, context)
    phone = asked.phone or (context.customer.external_id if context.customer.channel in PHONE_CHANNELS else "")
    if not phone:
        raise ActionFailed("phone_needed", "Ask the customer for the number to call.")
    settings: Settings = context.settings
    new = NewTicket(
        brand_id=context.brand.id,
        kind="callback",
        subject=(asked.topic or "Call back")[:200],
        body=asked.topic,
        contact=phone,
        due_at=at,
        conversation_id=context.conversation_id,
        customer_id=context.customer.id,
        call_id=context.call_id,
        config_id=context.config_id,
        has_hook=settings.webhook_url is not None,
    )
    return new, at


def _local(at: datetime, context: Context) -> datetime:
    """The time in the brand's zone, if somebody calls then."""
    settings: Settings = context.settings
    try:
        zone = ZoneInfo(context.brand.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    local = at.astimezone(zone) if at.tzinfo else at.replace(tzinfo=zone)
    earliest = now() + timedelta(minutes=settings.notice_minutes)
    is_open = local.isoweekday() in settings.days and settings.opens <= local.time() < settings.closes
    if not earliest <= local <= now() + timedelta(days=settings.furthest_days) or not is_open:
        names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
        days = ", ".join(names[day - 1] for day in sorted(settings.days) if 1 <= day <= 7)
        hours = f"{settings.opens:%H:%M} to {settings.closes:%H:%M} ({context.brand.timezone})"
        raise ActionFailed(
            "time_not_free",
            f"People call {days}, {hours}, from {earliest.astimezone(zone):%Y-%m-%d %H:%M} on, at most "
            f"{settings.furthest_days} days ahead. Propose such a time.",
        )
    return local


action = ScheduleCallback()
