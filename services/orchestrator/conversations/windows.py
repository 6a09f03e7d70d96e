"""Whether an agent's answer would get through now."""

import structlog
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from packages.core.db.base import now
from packages.core.db.repository import get
from packages.core.db.tables.channels import ChannelConfig
from packages.core.db.tables.conversations import Conversation
from packages.core.domain.windows import reply_window
from packages.core.errors import Unavailable, UnsupportedFormat
from services.orchestrator.channels.catalogue import Catalogue
from services.orchestrator.conversations.schemas import ReplyWindow

log = structlog.get_logger(__name__)


class Rules(BaseModel):
    """What of a channel's capabilities matters here: the hours in which it lets brands answer; null without a rule."""

    window_hours: float | None = None
    agent_window_hours: float | None = None
    templates: bool = False


async def for_agents(session: AsyncSession, conversation: Conversation, catalogue: Catalogue) -> ReplyWindow | None:
    """The window as the gateway's planner sees it; None while the gateway has never been heard."""
    config = await get(session, ChannelConfig, conversation.channel_config_id)
    try:
        entry = await catalogue.entry(config.channel)
    except (Unavailable, UnsupportedFormat) as error:
        log.info("reply_window_unknown", channel=config.channel, reason=error.message)
        return None
    rules = Rules.model_validate(entry.capabilities)
    by_person = config.settings.get("human_agent", True) is not False
    found = reply_window(rules, conversation.last_customer_message_at, now(), by_person=by_person)
    note = None
    if found.by_tag:
        note = "Only a person may answer now, not the bot; after that the customer has to write first."
    elif not found.is_open:
        note = _closed(rules, bool(config.settings.get("template_fallback")))
    return ReplyWindow(open=found.is_open, until=found.until, note=note)


def _closed(rules: Rules, has_fallback: bool) -> str:
    if rules.templates and has_fallback:
        return "The customer's last message is too old for a free answer: yours goes as the account's template."
    waits = "What you write waits until the customer writes again"
    return f"{waits}; an approved template gets through now." if rules.templates else f"{waits}."
