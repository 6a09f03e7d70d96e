"""Tenants and their people."""

import httpx
import pytest

from tests.factories.companies import PASSWORD, Company, Installation

NEW = {"name": "Globex", "slug": "globex", "admin_email": "Boss@Globex.test", "admin_password": "a long password"}


class TestCreateTenant:
    async def test_makes_the_tenant_and_its_admin(self, installation: Installation) -> None:
        platform = await installation.platform_admin()
        answer = await platform.post("/v1/tenants", json=NEW)
        assert answer.status_code == 201
        tenant = answer.json()
        assert (tenant["name"], tenant["slug"], tenant["status"]) == ("Globex", "globex", "active")
        form = {"username": "boss@globex.test", "password": "a long password"}
        token = (await installation.client().post("/v1/auth/token", data=form)).json()["access_token"]
        me = (await installation.client(token).get("/v1/me")).json()
        assert (me["id"], me["tenant_id"], me["role"]) == (tenant["admin_id"], tenant["id"], "tenant_admin")
        assert (await platform.get(f"/v1/tenants/{tenant['id']}")).json()["slug"] == "globex"

    @pytest.mark.parametrize("change", [{"slug": "other"}, {"admin_email": "other@globex.test"}])
    async def test_taken_names_leave_nothing_behind(self, installation: Installation, change: dict[str, str]) -> None:
        platform = await installation.platform_admin()
        await platform.post("/v1/tenants", json=NEW)
        answer = await platform.post("/v1/tenants", json=NEW | change)
        assert answer.status_code == 409
        assert len((await platform.get("/v1/tenants")).json()["items"]) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"slug": "Not A Slug"},
            {"slug": "-x"},
            {"admin_email": "nobody"},
            {"admin_password": "short"},
            {"name": " "},
            {"name": "a\0b"},
            {"unknown": 1},
        ],
    )
    async def test_malformed(self, installation: Installation, change: dict[str, object]) -> None:
        answer = await (await installation.platform_admin()).post("/v1/tenants", json=NEW | change)
        assert answer.status_code == 422
        assert "a long password" not in answer.text

    async def test_is_for_platform_admins(self, acme: Company) -> None:
        assert (await acme.admin.post("/v1/tenants", json=NEW)).status_code == 403


class TestPages:
    async def test_walks_all_newest_first(self, installation: Installation) -> None:
        platform = await installation.platform_admin()
        for number in range(5):
            body = NEW | {"slug": f"t{number}", "admin_email": f"a{number}@t.test"}
            await platform.post("/v1/tenants", json=body)
        slugs: list[str] = []
        cursor: str | None = None
        for _ in range(3):
            params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
            page = (await platform.get("/v1/tenants", params=params)).json()
            slugs += [tenant["slug"] for tenant in page["items"]]
            cursor = page["next_cursor"]
        assert slugs == ["t4", "t3", "t2", "t1", "t0"]
        assert cursor is None

    @pytest.mark.parametrize("params", [{"cursor": "nonsense"}, {"cursor": "W10="}, {"limit": "0"}, {"limit": "201"}])
    async def test_malformed(self, installation: Installation, params: dict[str, str]) -> None:
        assert (await (await installation.platform_admin()).get("/v1/tenants", params=params)).status_code == 422


class TestUsers:
    async def create(self, client: httpx.AsyncClient, **wishes: object) -> httpx.Response:
        body = {"email": "new@acme.test", "name": "New", "password": "a good password"} | wishes
        return await client.post("/v1/users", json=body)

    async def test_an_agent_by_default(self, installation: Installation, acme: Company) -> None:
        answer = await self.create(acme.admin)
        assert (answer.status_code, answer.json()["role"]) == (201, "agent")
        assert "password" not in answer.text
        form = {"username": "new@acme.test", "password": "a good password"}
        assert (await installation.client().post("/v1/auth/token", data=form)).status_code == 200

    async def test_e_mail_is_taken_across_tenants(self, acme: Company, rival: Company) -> None:
        assert (await self.create(acme.admin, email="agent@rival.test")).status_code == 409

    async def test_no_platform_admins(self, acme: Company) -> None:
        assert (await self.create(acme.admin, role="platform_admin")).status_code == 422

    async def test_agents_make_no_users(self, acme: Company) -> None:
        assert (await self.create(acme.agent)).status_code == 403

    async def test_a_new_role_holds_at_once(self, installation: Installation, acme: Company) -> None:
        assert (await acme.admin.patch(f"/v1/users/{acme.agent_id}", json={"role": "viewer"})).status_code == 200
        assert (await acme.agent.get("/v1/users")).status_code == 401
        form = {"username": "agent@acme.test", "password": PASSWORD}
        token = (await installation.client().post("/v1/auth/token", data=form)).json()["access_token"]
        assert (await installation.client(token).get("/v1/users")).status_code == 403

    async def test_a_new_name_ends_no_session(self, acme: Company) -> None:
        await acme.admin.patch(f"/v1/users/{acme.agent_id}", json={"name": "Ana"})
        assert (await acme.agent.get("/v1/me")).json()["name"] == "Ana"

    @pytest.mark.parametrize("change", [{"is_active": False}, {"role": "viewer"}])
    async def test_admins_do_not_shut_themselves_out(self, acme: Company, change: dict[str, object]) -> None:
        own_id = (await acme.admin.get("/v1/me")).json()["id"]
        assert (await acme.admin.patch(f"/v1/users/{own_id}", json=change)).status_code == 409
