"""What brands set for their guardrails."""

from packages.core.domain.tenants import BrandProfile
from services.orchestrator.engine.policies import Verdict
from services.orchestrator.engine.policies.brand_rules import DEFAULT, of
from services.orchestrator.engine.policies.profanity import Level


def _brand(settings: dict[str, object]) -> BrandProfile:
    return BrandProfile(id="b", tenant_id="t", name="Brand", settings=settings)


def test_nothing_set_means_the_defaults() -> None:
    assert of(_brand({})) is DEFAULT


def test_what_is_set_holds() -> None:
    rules = of(_brand({"guardrails": {"competitors": ["Acme"], "abuse": "handover", "abuse_level": "strong"}}))
    assert rules.competitors == ("Acme",)
    assert rules.abuse is Verdict.HANDOVER
    assert rules.abuse_level is Level.STRONG
    assert rules.links is DEFAULT.links


def test_unreadable_rules_leave_the_defaults_on() -> None:
    assert of(_brand({"guardrails": {"links": "maybe"}})) == DEFAULT
