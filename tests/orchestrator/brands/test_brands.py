"""Brands and personas."""

import pytest

from services.orchestrator.brands.service import profile
from tests.factories.companies import Company, Installation

NEW = {"name": "Fernhill", "slug": "fernhill", "locale": "de", "timezone": "Europe/Berlin", "settings": {"a": [1]}}


class TestBrand:
    async def test_comes_with_a_persona(self, acme: Company) -> None:
        answer = await acme.admin.post("/v1/brands", json=NEW)
        brand = answer.json()
        assert answer.status_code == 201
        assert {name: brand[name] for name in NEW} == NEW
        persona = (await acme.viewer.get(f"/v1/brands/{brand['id']}/persona")).json()
        assert (persona["display_name"], persona["version"]) == ("Fernhill", 1)
        assert persona["tone"]

    async def test_slug_is_taken_within_the_tenant_alone(self, acme: Company, rival: Company) -> None:
        statuses = [(await company.admin.post("/v1/brands", json=NEW)).status_code for company in (acme, acme, rival)]
        assert statuses == [201, 409, 201]

    @pytest.mark.parametrize(
        "change", [{"timezone": "Mars/Olympus"}, {"locale": "english!"}, {"slug": "A B"}, {"name": ""}, {"nmae": "x"}]
    )
    async def test_malformed(self, acme: Company, change: dict[str, str]) -> None:
        assert (await acme.admin.post("/v1/brands", json=NEW | change)).status_code == 422

    async def test_patch_changes_what_is_given(self, acme: Company) -> None:
        brand = (await acme.admin.post("/v1/brands", json=NEW)).json()
        changed = await acme.admin.patch(f"/v1/brands/{brand['id']}", json={"name": "Fern", "settings": {}})
        assert changed.json() == brand | {"name": "Fern", "settings": {}}
        assert (await acme.admin.get(f"/v1/brands/{brand['id']}")).json() == changed.json()

    async def test_patch_to_a_taken_slug(self, acme: Company) -> None:
        await acme.admin.post("/v1/brands", json=NEW)
        assert (await acme.admin.patch(f"/v1/brands/{acme.brand_id}", json={"slug": "fernhill"})).status_code == 409


class TestPersona:
    async def test_is_replaced_and_reaches_the_engine(self, installation: Installation, acme: Company) -> None:
        wanted = {"display_name": "Fern", "tone": "dry", "instructions": "Be short.", "languages": ["en", "pt-BR"]}
        answer = await acme.admin.put(f"/v1/brands/{acme.brand_id}/persona", json=wanted)
        assert answer.status_code == 200
        assert answer.json()["version"] == 2
        async with installation.database.tenant(acme.tenant_id) as session:
            seen = await profile(session, acme.brand_id)
        assert (seen.display_name, seen.tone, seen.instructions) == ("Fern", "dry", "Be short.")
        assert seen.languages == ("en", "pt-BR")

    async def test_agents_may_read_it_only(self, acme: Company) -> None:
        path = f"/v1/brands/{acme.brand_id}/persona"
        assert (await acme.agent.get(path)).status_code == 200
        assert (await acme.agent.put(path, json={"display_name": "x"})).status_code == 403
