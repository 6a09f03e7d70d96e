"""What an account's diagnosis says, and what connecting finds out."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.channels import Finding
from services.orchestrator.channels import service
from services.orchestrator.channels.diagnosis import _is_local, worst
from tests.factories.companies import Company, Installation
from tests.factories.pipeline import make_channel

REFUSED = Finding(check="token", level="error", message="The access token has expired.", definite=True)
GOOD = Finding(check="token", level="ok", message="The token is good.")
AWAY = Finding(check="reachable", level="warning", message="The platform does not answer.")


def path(company: Company) -> str:
    return f"/v1/brands/{company.brand_id}/channels"


async def diagnosis(company: Company, channel_id: UUID) -> dict[str, Any]:
    answer = await company.admin.get(f"{path(company)}/{channel_id}/diagnosis")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def messages(found: dict[str, Any], check: str) -> list[str]:
    return [item["message"] for item in found["checks"] if item["check"] == check]


class TestDiagnosis:
    async def test_says_what_is_missing_and_what_to_do(self, gateway: str, acme: Company) -> None:
        created = await acme.admin.post(
            path(acme), json={"channel": "webchat", "name": "Site", "credentials": {"allowed_origins": ["*"]}}
        )
        found = await diagnosis(acme, created.json()["id"])
        assert (found["level"], messages(found, "status")) == ("ok", ["The account is active."])

    async def test_of_an_account_that_platforms_cannot_reach(self, installation: Installation, acme: Company) -> None:
        channel_id = await make_channel(installation.database, acme.owner)
        found = await diagnosis(acme, channel_id)
        assert "cannot be reached by the platforms" in messages(found, "public_url")[0]
        assert messages(found, "heard") == ["No customer has written through this account yet."]
        assert all(item["remedy"] for item in found["checks"] if item["level"] in {"warning", "error"})

    async def test_tells_what_the_platform_announced(self, installation: Installation, acme: Company) -> None:
        channel_id = await make_channel(installation.database, acme.owner)
        async with installation.database.tenant(acme.tenant_id) as session:
            await session.execute(
                text(
                    "INSERT INTO inbound_ledger (id, tenant_id, channel_config_id, external_id, kind, state, reason,"
                    " event, repeats, received_at, created_at) VALUES (gen_random_uuid(), :tenant, :config, 'a:1',"
                    " 'account', 'ignored', 'The number''s quality fell to red.', '{}', 0, now(), now())"
                ),
                {"tenant": acme.tenant_id, "config": channel_id},
            )
        assert messages(await diagnosis(acme, channel_id), "account")[0].endswith("The number's quality fell to red.")

    async def test_of_another_tenants_account(self, installation: Installation, acme: Company, rival: Company) -> None:
        channel_id = await make_channel(installation.database, acme.owner)
        answer = await rival.admin.get(f"{path(acme)}/{channel_id}/diagnosis")
        assert answer.status_code == 404


class TestNoteFindings:
    async def noted(self, installation: Installation, company: Company, id_: UUID, *found: Finding) -> ChannelConfig:
        async with installation.database.tenant(company.tenant_id) as session:
            return await service.note_findings(session, company.brand_id, id_, list(found))

    async def test_what_the_platform_refuses_needs_attention_until_it_does_not(
        self, installation: Installation, acme: Company
    ) -> None:
        channel_id = await make_channel(installation.database, acme.owner)
        config = await self.noted(installation, acme, channel_id, REFUSED)
        assert (config.status, config.status_reason) == ("needs_attention", REFUSED.message)
        config = await self.noted(installation, acme, channel_id, AWAY)
        assert config.status == "needs_attention"
        config = await self.noted(installation, acme, channel_id, GOOD)
        assert (config.status, config.status_reason) == ("active", None)

    async def test_a_platform_that_is_away_changes_nothing(self, installation: Installation, acme: Company) -> None:
        channel_id = await make_channel(installation.database, acme.owner)
        assert (await self.noted(installation, acme, channel_id, AWAY)).status == "active"


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("localhost", True), ("10.1.2.3", True), ("gateway", True), ("chat.example.com", False)],
)
def test_is_local(host: str, local: bool) -> None:
    assert _is_local(host) is local


def test_worst() -> None:
    assert worst([]) == "ok"
    assert worst([GOOD, AWAY]) == "warning"
