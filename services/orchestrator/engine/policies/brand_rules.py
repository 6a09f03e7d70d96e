"""What a brand sets for its guardrails, in `settings.guardrails`; what is not set has the defaults here."""

from functools import lru_cache
from typing import Literal

import msgspec
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from packages.core.domain.tenants import BrandProfile
from services.orchestrator.engine.policies import Verdict
from services.orchestrator.engine.policies.personal_data import EVERYTHING
from services.orchestrator.engine.policies.profanity import Level

log = structlog.get_logger(__name__)

Reaction = Literal[Verdict.PASS, Verdict.FIX, Verdict.WITHHOLD, Verdict.HANDOVER]
Stop = Literal[Verdict.PASS, Verdict.WITHHOLD, Verdict.HANDOVER]


class BrandRules(BaseModel):
    """Reactions are pass (off), fix, withhold ("I don't know") and handover (a person takes the conversation)."""

    model_config = ConfigDict(frozen=True)

    injection: Reaction = Verdict.FIX
    """A message that gives orders: fix keeps it from the model, and the documents' own words answer."""
    redact: frozenset[str] = EVERYTHING
    """Kinds of personal data that no model gets to see."""
    abuse: Stop = Verdict.PASS
    """A customer's strong language, from `abuse_level` upwards."""
    abuse_level: Level = Level.SEVERE
    reply_profanity: Level = Level.MILD
    """Words of a reply from this level upwards are masked, unless a cited source uses them."""
    off_topic: tuple[str, ...] = ()
    """Words and phrases of matters that the brand does not talk about."""
    off_topic_reaction: Stop = Verdict.WITHHOLD
    competitors: tuple[str, ...] = ()
    """Names that no reply mentions."""
    competitor_reaction: Reaction = Verdict.FIX
    promises: Reaction = Verdict.FIX
    """Commitments that no cited source makes."""
    links: Reaction = Verdict.FIX
    """Addresses outside `domains` that no cited source has."""
    domains: tuple[str, ...] = Field(default=())


DEFAULT = BrandRules()


def of(brand: BrandProfile) -> BrandRules:
    """The brand's own rules. Rules that nobody can read are the defaults, which are on, and a line in the log."""
    own = brand.settings.get("guardrails")
    return _read(msgspec.json.encode(own)) if isinstance(own, dict) and own else DEFAULT


@lru_cache(maxsize=512)
def _read(document: bytes) -> BrandRules:
    try:
        return BrandRules.model_validate_json(document)
    except ValidationError as error:
        log.warning("guardrail_settings_unreadable", problems=error.error_count())
        return DEFAULT
