"""What a draft changes."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from packages.core.config import LLMEndpoint
from packages.core.db.base import new_id
from packages.core.domain.tenants import BrandProfile
from packages.core.errors import InvalidInput
from services.orchestrator.evaluations import drafts
from services.orchestrator.evaluations.schemas import Draft

MODELS = [LLMEndpoint(base_url="http://one.test", model="one"), LLMEndpoint(base_url="http://two.test", model="two")]
LIVE = BrandProfile(id="b", tenant_id="t", name="Acme", tone="brief", settings={"answer_threshold": 0.4, "x": 1})


@pytest.mark.parametrize(("model", "found"), [(None, ["one", "two"]), ("two", ["two"]), ("extractive", [])])
def test_models(model: str | None, found: list[str]) -> None:
    assert [endpoint.model for endpoint in drafts.endpoints(Draft(model=model), MODELS)] == found


def test_a_model_that_is_not_configured_is_refused() -> None:
    with pytest.raises(InvalidInput, match="extractive, one, two"):
        drafts.endpoints(Draft(model="three"), MODELS)


def test_persona_and_settings_are_laid_over_what_is_live() -> None:
    draft = Draft.model_validate(
        {"persona": {"tone": "cheerful", "languages": ["de"]}, "settings": {"answer_threshold": 0.6}}
    )
    found = drafts.profile(draft, LIVE)
    assert (found.tone, found.languages, found.name) == ("cheerful", ("de",), "Acme")
    assert found.settings == {"answer_threshold": 0.6, "x": 1}


@pytest.mark.parametrize("threshold", [1.5, -0.1, "high", True])
def test_a_threshold_is_a_share(threshold: object) -> None:
    with pytest.raises(ValidationError):
        Draft.model_validate({"settings": {"answer_threshold": threshold}})


class TestSources:
    a, b, c = new_id(), new_id(), new_id()

    def chosen(self, draft: Draft) -> frozenset[UUID] | None:
        found = drafts.filters(draft, [self.a, self.b, self.c])
        return found.source_ids if found else None

    def test_all(self) -> None:
        assert self.chosen(Draft()) is None

    def test_without_some(self) -> None:
        assert self.chosen(Draft(without_sources=[self.a])) == frozenset({self.b, self.c})

    def test_only_some(self) -> None:
        assert self.chosen(Draft(only_sources=[self.a, self.b], without_sources=[self.b])) == frozenset({self.a})

    def test_none_at_all(self) -> None:
        assert self.chosen(Draft(only_sources=[])) == frozenset()
