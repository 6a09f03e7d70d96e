"""Channel configs, checked against the catalogue of the real gateway."""

from contextlib import nullcontext
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog
from redis.asyncio import Redis

from packages.core import streams
from packages.core.crypto import SecretBox
from packages.core.db.repository import get
from packages.core.db.tables.channels import ChannelConfig
from packages.core.errors import InvalidInput
from services.local.engines import free_port
from services.orchestrator.channels.catalogue import Catalogue, Entry
from tests.factories.companies import Company, Installation
from tests.factories.pipeline import SECRET_KEY

SECRETS = {"access_token": "EAAtoken-of-the-brand", "app_secret": "shhh-app-secret", "verify_token": "shhh-verify"}
WHATSAPP: dict[str, Any] = {
    "channel": "whatsapp",
    "name": "Support line",
    "credentials": {"phone_number_id": "10666", **SECRETS},
    "settings": {"api_base": "http://127.0.0.1:8002"},
}
WEBCHAT: dict[str, Any] = {"channel": "webchat", "name": "Site", "credentials": {"allowed_origins": ["https://a.test"]}}


def path(company: Company) -> str:
    return f"/v1/brands/{company.brand_id}/channels"


@pytest_asyncio.fixture
async def whatsapp(gateway: str, acme: Company) -> dict[str, Any]:
    answer = await acme.admin.post(path(acme), json=WHATSAPP)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def kept(installation: Installation, company: Company, channel_id: str) -> ChannelConfig:
    async with installation.database.tenant(company.tenant_id) as session:
        return await get(session, ChannelConfig, channel_id)


class TestConnect:
    async def test_shows_where_the_platform_calls(self, whatsapp: dict[str, Any]) -> None:
        assert whatsapp["webhook_url"].endswith(f"/webhooks/whatsapp/{whatsapp['id']}")
        assert (whatsapp["account_id"], whatsapp["status"]) == ("10666", "active")
        assert whatsapp["settings"] == {"api_base": "http://127.0.0.1:8002"}

    async def test_credentials_are_sealed_and_never_come_back(
        self, installation: Installation, acme: Company, whatsapp: dict[str, Any]
    ) -> None:
        answers = [
            await acme.admin.get(path(acme)),
            await acme.admin.get(f"{path(acme)}/{whatsapp['id']}"),
            await acme.admin.patch(f"{path(acme)}/{whatsapp['id']}", json={"name": "Line"}),
        ]
        row = await kept(installation, acme, whatsapp["id"])
        for secret in SECRETS.values():
            assert secret not in str(whatsapp) + "".join(answer.text for answer in answers) + str(row.credentials)
        assert SecretBox(SECRET_KEY).open(row.credentials) == WHATSAPP["credentials"]
        assert set(SECRETS) <= set(whatsapp["credentials_set"])

    async def test_tells_gateways(self, gateway: str, acme: Company, redis: Redis) -> None:
        async with redis.pubsub() as gateways:
            await gateways.subscribe(streams.CHANNELS_CHANGED)
            created = (await acme.admin.post(path(acme), json=WEBCHAT)).json()
            heard = [await gateways.get_message(timeout=1) for _ in range(2)]
        assert heard[1]["data"] == f'"{created["id"]}"'.encode()
        assert created["account_id"] is None

    @pytest.mark.parametrize(
        ("credentials", "field"),
        [
            ({"phone_number_id": "1"}, "access_token"),
            ({**WHATSAPP["credentials"], "bot_token": "shhh-unknown"}, "bot_token"),
            ({**WHATSAPP["credentials"], "app_secret": 5}, "app_secret"),
            ({**WHATSAPP["credentials"], "access_token": ""}, "access_token"),
        ],
    )
    async def test_credentials_that_do_not_fit(
        self, gateway: str, acme: Company, credentials: dict[str, Any], field: str
    ) -> None:
        with structlog.testing.capture_logs() as lines:
            answer = await acme.admin.post(path(acme), json=WHATSAPP | {"credentials": credentials})
        assert answer.status_code == 422
        assert field in {problem["field"] for problem in answer.json()["error"]["details"]["credentials"]}
        assert "shhh" not in answer.text + str(lines)

    async def test_unknown_channel(self, gateway: str, acme: Company) -> None:
        answer = await acme.admin.post(path(acme), json=WHATSAPP | {"channel": "pigeon"})
        assert answer.status_code == 415
        assert "whatsapp" in answer.json()["error"]["message"]

    @pytest.mark.parametrize("wanted", [{"api_base": "file:///etc/passwd"}, {"api_base": 5}])
    async def test_api_base_is_an_address(self, gateway: str, acme: Company, wanted: dict[str, Any]) -> None:
        assert (await acme.admin.post(path(acme), json=WHATSAPP | {"settings": wanted})).status_code == 422

    async def test_account_is_connected_once_on_the_whole_installation(
        self, whatsapp: dict[str, Any], acme: Company, rival: Company
    ) -> None:
        statuses = [(await company.admin.post(path(company), json=WHATSAPP)).status_code for company in (acme, rival)]
        assert statuses == [409, 409]

    async def test_agents_may_look_only(self, gateway: str, acme: Company) -> None:
        assert (await acme.agent.get(path(acme))).status_code == 200
        assert (await acme.agent.post(path(acme), json=WHATSAPP)).status_code == 403


class TestUpdate:
    async def test_one_credential(self, installation: Installation, acme: Company, whatsapp: dict[str, Any]) -> None:
        change = {"credentials": {"access_token": "EAAnew"}}
        answer = await acme.admin.patch(f"{path(acme)}/{whatsapp['id']}", json=change)
        row = await kept(installation, acme, whatsapp["id"])
        assert answer.status_code == 200
        assert SecretBox(SECRET_KEY).open(row.credentials) == WHATSAPP["credentials"] | {"access_token": "EAAnew"}

    async def test_another_account(self, acme: Company, whatsapp: dict[str, Any]) -> None:
        change = {"credentials": {"phone_number_id": "10777"}}
        answer = await acme.admin.patch(f"{path(acme)}/{whatsapp['id']}", json=change)
        assert answer.json()["account_id"] == "10777"

    async def test_disable_and_enable(self, acme: Company, whatsapp: dict[str, Any]) -> None:
        url = f"{path(acme)}/{whatsapp['id']}"
        for status in ("disabled", "active"):
            assert (await acme.admin.patch(url, json={"status": status})).json()["status"] == status


class TestRemove:
    async def test_forgets_the_credentials_and_frees_the_account(
        self, installation: Installation, acme: Company, rival: Company, whatsapp: dict[str, Any]
    ) -> None:
        assert (await acme.admin.delete(f"{path(acme)}/{whatsapp['id']}")).status_code == 204
        row = await kept(installation, acme, whatsapp["id"])
        assert (row.credentials, row.account_id, row.status) == (b"", None, "disabled")
        shown = (await acme.admin.get(f"{path(acme)}/{whatsapp['id']}")).json()
        assert (shown["credentials_set"], shown["status_reason"]) == ([], "removed")
        assert (await rival.admin.post(path(rival), json=WHATSAPP)).status_code == 201

    async def test_comes_back_with_credentials_alone(self, acme: Company, whatsapp: dict[str, Any]) -> None:
        url = f"{path(acme)}/{whatsapp['id']}"
        await acme.admin.delete(url)
        assert (await acme.admin.patch(url, json={"status": "active"})).status_code == 422
        back = {"status": "active", "credentials": WHATSAPP["credentials"]}
        assert (await acme.admin.patch(url, json=back)).json()["account_id"] == "10666"


class TestCatalogue:
    async def test_gateway_away(
        self, installation: Installation, acme: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue = installation.parts.get(Catalogue)
        monkeypatch.setattr(catalogue, "url", f"http://127.0.0.1:{free_port()}/channels")
        monkeypatch.setattr(catalogue, "_entries", {})
        answer = await acme.admin.post(path(acme), json=WHATSAPP)
        assert answer.status_code == 503
        assert "gateway" in answer.json()["error"]["message"]

    async def test_an_old_copy_is_better_than_none(self, gateway: str) -> None:
        async with httpx.AsyncClient(timeout=0.5) as client:
            catalogue = Catalogue(client, f"{gateway}/channels")
            await catalogue.entry("whatsapp")
            catalogue.url = f"http://127.0.0.1:{free_port()}/channels"
            catalogue._good_until = 0
            assert (await catalogue.entry("whatsapp")).account_id_field == "phone_number_id"

    @pytest.mark.parametrize(
        ("schema", "value", "fits"),
        [
            ({"type": "array", "items": {"type": "string"}}, ["a"], True),
            ({"type": "array", "items": {"type": "string"}}, [1], False),
            ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, True),
            ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, False),
            ({"type": "integer"}, True, False),
            ({"type": "string", "minLength": 3}, "ab", False),
            ({}, object, True),
        ],
    )
    def test_types(self, schema: dict[str, Any], value: Any, fits: bool) -> None:
        entry = Entry(channel="x", credentials_schema={"properties": {"field": schema}})
        with nullcontext() if fits else pytest.raises(InvalidInput):
            entry.checked({"field": value})
