"""What was asked, read off the conversation around a reply that withheld an answer or handed over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from packages.rag.lexical import query_terms
from services.orchestrator.engine import intents
from services.orchestrator.knowledge_tools.privacy import kept

LONGEST = 2000
HISTORY = 6
SAYS_WHAT_FOR = 5
"""Terms from which on the wish for a person says what it is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message before the reply. `answered_by` is the reply that took it in; `abstained` tells of the bot's own."""

    id: str
    author: str
    text: str
    answered_by: str | None = None
    abstained: bool = False
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply of the bot that shows a gap, with what was said before it, oldest first."""

    id: UUID
    tenant_id: UUID
    brand_id: UUID
    conversation_id: UUID
    locale: str
    replied_at: datetime
    trace: Mapping[str, Any]
    before: Sequence[Said]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked in vain; with an empty `question` nothing was."""

    reply: Reply
    reason: str
    question: str = ""
    query: str = ""
    history: tuple[tuple[str, str], ...] = ()
    asked_at: datetime


def question_of(reply: Reply) -> Question:
    """The question behind a reply, without personal data."""
    if reply.trace.get("wants_person"):
        return _behind_the_wish(reply)
    asked = [said for said in reply.before if said.answered_by == str(reply.id)]
    reason = "withheld" if reply.trace.get("abstained") else "failed"
    return _question(reply, reason, asked, str(reply.trace.get("query") or ""))


def agents_answer(texts: Sequence[str], locale: str) -> str:
    """What of an agent's messages answers: no greetings, thanks or questions back. Empty where nothing does."""
    telling = [
        text.strip()
        for text in texts
        if intents.small_talk(text) is None and not text.rstrip().endswith("?") and len(query_terms(text)) >= 3
    ]
    return kept("\n".join(telling)[:LONGEST], locale)


def _behind_the_wish(reply: Reply) -> Question:
    """Who asks for a person was not helped by the answer before; where that was withheld, it counts already."""
    wish = [said for said in reply.before if said.answered_by == str(reply.id)]
    if len(query_terms(" ".join(said.text for said in wish))) >= SAYS_WHAT_FOR:
        return _question(reply, "handed_over", wish)
    withheld = {said.id for said in reply.before if said.abstained}
    earlier = [
        said
        for said in reply.before
        if said.author == "customer"
        and said not in wish
        and said.text.strip()
        and intents.small_talk(said.text) is None
        and not intents.wants_person(said.text)
    ]
    if not earlier or earlier[-1].answered_by is None or earlier[-1].answered_by in withheld:
        return _question(reply, "handed_over", [])
    together = [said for said in earlier if said.answered_by == earlier[-1].answered_by]
    return _question(reply, "handed_over", together)


def _question(reply: Reply, reason: str, asked: Sequence[Said], query: str = "") -> Question:
    text = "\n".join(said.text for said in asked if said.text).strip()[:LONGEST]
    first = reply.before.index(asked[0]) if asked else 0
    history = [said for said in reply.before[:first] if said.text][-HISTORY:]
    return Question(
        reply=reply,
        reason=reason,
        question=kept(text, reply.locale),
        query=kept((query or text)[:LONGEST], reply.locale),
        history=tuple((said.author, kept(said.text[:LONGEST], reply.locale)) for said in history),
        asked_at=(asked[-1].sent_at if asked else None) or reply.replied_at,
    )
