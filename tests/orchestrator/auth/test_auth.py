"""Log-in, tokens, roles, API keys and the shared secret of the services."""

from datetime import timedelta

import httpx
import jwt
import pytest
import structlog
from pydantic import SecretStr
from redis.asyncio import Redis

from packages.core import crypto
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.domain.tenants import Role
from packages.core.errors import RateLimited
from services.local.engines import free_port
from services.orchestrator.auth import repository
from services.orchestrator.auth.attempts import Attempts
from services.orchestrator.auth.permissions import Scope
from services.orchestrator.auth.service import ensure_platform_admin
from services.orchestrator.auth.tokens import Tokens
from services.orchestrator.settings import OrchestratorSettings
from tests.factories.companies import PASSWORD, Company, Installation
from tests.factories.pipeline import SECRET_KEY


async def log_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/v1/auth/token", data={"username": email, "password": password})


class TestLogIn:
    async def test_gives_tokens_that_work(self, installation: Installation, acme: Company) -> None:
        answer = await log_in(installation.client(), "agent@acme.test")
        assert answer.status_code == 200
        assert answer.json().keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
        me = await installation.client(answer.json()["access_token"]).get("/v1/me")
        assert me.json() == {
            "id": str(acme.agent_id),
            "kind": "user",
            "name": "agent",
            "email": "agent@acme.test",
            "role": "agent",
            "tenant_id": str(acme.tenant_id),
            "scopes": None,
        }

    async def test_e_mail_is_not_case_sensitive(self, installation: Installation, acme: Company) -> None:
        assert (await log_in(installation.client(), " Agent@ACME.test ")).status_code == 200

    @pytest.mark.parametrize(
        ("email", "password"), [("agent@acme.test", "wrong"), ("nobody@acme.test", PASSWORD), ("agent@acme.test", "\0")]
    )
    async def test_refusal_does_not_tell_why(
        self, installation: Installation, acme: Company, email: str, password: str
    ) -> None:
        answer = await log_in(installation.client(), email, password)
        assert answer.status_code == 401
        assert answer.json()["error"]["message"] == "The e-mail or the password is wrong."

    async def test_of_an_inactive_user_fails(self, installation: Installation, acme: Company) -> None:
        await acme.admin.patch(f"/v1/users/{acme.agent_id}", json={"is_active": False})
        assert (await log_in(installation.client(), "agent@acme.test")).status_code == 401

    async def test_is_limited_per_e_mail_and_address(self, installation: Installation, acme: Company) -> None:
        client = installation.client()
        statuses = [(await log_in(client, "agent@acme.test", "wrong")).status_code for _ in range(11)]
        assert statuses == [401] * 10 + [429]
        refused = await log_in(client, "agent@acme.test")
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 300
        assert (await log_in(client, "viewer@acme.test")).status_code == 200

    async def test_success_clears_the_count(self, installation: Installation, acme: Company) -> None:
        client = installation.client()
        for password in ["wrong"] * 9 + [PASSWORD] + ["wrong"] * 9:
            last = await log_in(client, "agent@acme.test", password)
        assert last.status_code == 401

    async def test_secrets_stay_out_of_logs(self, installation: Installation, acme: Company) -> None:
        with structlog.testing.capture_logs() as lines:
            await log_in(installation.client(), "agent@acme.test", "hunter2-was-wrong")
            token = (await log_in(installation.client(), "agent@acme.test")).json()["access_token"]
        assert "login_failed" in [line["event"] for line in lines]
        assert "hunter2" not in str(lines)
        assert PASSWORD not in str(lines)
        assert token not in str(lines)


async def test_attempts_are_counted_without_redis() -> None:
    attempts = Attempts(Redis(port=free_port()), 2)
    await attempts.begin("a@b.c", "10.0.0.1")
    await attempts.succeeded("a@b.c", "10.0.0.1")
    await attempts.begin("a@b.c", "10.0.0.1")
    await attempts.begin("a@b.c", "10.0.0.1")
    with pytest.raises(RateLimited):
        await attempts.begin("a@b.c", "10.0.0.1")


class TestRefresh:
    async def test_gives_a_new_pair(self, installation: Installation, acme: Company) -> None:
        first = (await log_in(installation.client(), "agent@acme.test")).json()
        answer = await installation.client().post("/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
        assert (await installation.client(answer.json()["access_token"]).get("/v1/me")).status_code == 200

    async def test_takes_no_access_token(self, installation: Installation, acme: Company) -> None:
        first = (await log_in(installation.client(), "agent@acme.test")).json()
        answer = await installation.client().post("/v1/auth/refresh", json={"refresh_token": first["access_token"]})
        assert answer.status_code == 401

    async def test_ends_with_the_users_sessions(self, installation: Installation, acme: Company) -> None:
        first = (await log_in(installation.client(), "agent@acme.test")).json()
        await acme.admin.patch(f"/v1/users/{acme.agent_id}", json={"password": "another good password"})
        refreshed = await installation.client().post("/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
        used = await installation.client(first["access_token"]).get("/v1/me")
        assert (refreshed.status_code, used.status_code) == (401, 401)


class TestToken:
    def token(self, claims: dict[str, object], key: bytes | None = None) -> str:
        good = Tokens(SECRET_KEY, access=timedelta(minutes=5), refresh=timedelta(days=1)).issue("access", new_id(), 0)
        content = jwt.decode(good, options={"verify_signature": False}) | claims
        return jwt.encode(content, key or crypto.derive_key(SECRET_KEY, "tokens"), algorithm="HS256")

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "pk_unknown", "pk_", "Bearer"])
    async def test_nonsense(self, installation: Installation, token: str) -> None:
        answer = await installation.client(token).get("/v1/me")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    async def test_none_at_all(self, installation: Installation) -> None:
        assert (await installation.client().get("/v1/me")).status_code == 401

    async def test_signed_with_another_key(self, installation: Installation, acme: Company) -> None:
        token = self.token({"sub": str(acme.agent_id)}, b"another key of thirty-two bytes!")
        assert (await installation.client(token).get("/v1/me")).status_code == 401

    async def test_unsigned(self, installation: Installation, acme: Company) -> None:
        content = {
            "sub": str(acme.agent_id),
            "typ": "access",
            "ver": 0,
            "iss": "parley",
            "iat": 0,
            "exp": 9_999_999_999,
        }
        token = jwt.encode(content, "", algorithm="none")
        assert (await installation.client(token).get("/v1/me")).status_code == 401

    @pytest.mark.parametrize("claims", [{"exp": 1}, {"typ": "refresh"}, {"iss": "other"}, {"sub": "x"}, {"ver": 7}])
    async def test_claims_that_do_not_hold(
        self, installation: Installation, acme: Company, claims: dict[str, object]
    ) -> None:
        token = self.token({"sub": str(acme.agent_id)} | claims)
        assert (await installation.client(token).get("/v1/me")).status_code == 401

    async def test_that_holds(self, installation: Installation, acme: Company) -> None:
        token = self.token({"sub": str(acme.agent_id)})
        assert (await installation.client(token).get("/v1/me")).status_code == 200


class TestAPIKey:
    async def make(self, company: Company, **wishes: object) -> httpx.Response:
        body = {"name": "CRM", "role": "agent", "scopes": ["brands:read"]} | wishes
        return await company.admin.post("/v1/api-keys", json=body)

    async def test_works_until_it_is_revoked(self, installation: Installation, acme: Company) -> None:
        key = (await self.make(acme)).json()
        client = installation.client(key["token"])
        assert key["token"].startswith("pk_")
        assert (await client.get("/v1/me")).json()["kind"] == "api_key"
        assert (await client.get("/v1/brands")).status_code == 200
        assert (await acme.admin.delete(f"/v1/api-keys/{key['id']}")).status_code == 204
        assert (await client.get("/v1/brands")).status_code == 401
        assert (await acme.admin.delete(f"/v1/api-keys/{key['id']}")).status_code == 404

    async def test_token_is_shown_once_and_not_kept(
        self, installation: Installation, acme: Company, database: Database
    ) -> None:
        key = (await self.make(acme)).json()
        await installation.client(key["token"]).get("/v1/brands")
        listed = await acme.admin.get("/v1/api-keys")
        assert key["token"] not in listed.text
        assert listed.json()["items"][0]["last_used_at"] is not None
        async with database.tenant(acme.tenant_id) as session:
            assert key["token"] not in str((await repository.keys(session))[0].model_dump())

    async def test_needs_the_scope(self, installation: Installation, acme: Company) -> None:
        client = installation.client((await self.make(acme)).json()["token"])
        answer = await client.get("/v1/conversations")
        assert answer.status_code == 403
        assert "conversations:read" in answer.json()["error"]["message"]

    async def test_needs_the_role_as_well(self, installation: Installation, acme: Company) -> None:
        client = installation.client((await self.make(acme, role="viewer", scopes=["brands:write"])).json()["token"])
        answer = await client.post("/v1/brands", json={"name": "New", "slug": "new"})
        assert answer.status_code == 403

    async def test_makes_no_keys(self, installation: Installation, acme: Company) -> None:
        token = (await self.make(acme, role="tenant_admin", scopes=[str(scope) for scope in Scope])).json()["token"]
        answer = await installation.client(token).post("/v1/api-keys", json={"name": "x", "scopes": ["stream"]})
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        ("wishes", "status"),
        [({"role": "platform_admin"}, 403), ({"scopes": []}, 422), ({"scopes": ["all"]}, 422), ({"extra": 1}, 422)],
    )
    async def test_refused_wishes(self, acme: Company, wishes: dict[str, object], status: int) -> None:
        assert (await self.make(acme, **wishes)).status_code == status


class TestRoles:
    @pytest.mark.parametrize(
        ("role", "method", "path", "body", "status"),
        [
            (Role.VIEWER, "GET", "/v1/brands", None, 200),
            (Role.VIEWER, "GET", "/v1/users", None, 403),
            (Role.AGENT, "GET", "/v1/users", None, 200),
            (Role.AGENT, "POST", "/v1/brands", {"name": "B", "slug": "b"}, 403),
            (Role.TENANT_ADMIN, "POST", "/v1/brands", {"name": "B", "slug": "b"}, 201),
            (Role.TENANT_ADMIN, "GET", "/v1/tenants", None, 403),
            (Role.PLATFORM_ADMIN, "GET", "/v1/tenants", None, 200),
            (Role.PLATFORM_ADMIN, "GET", "/v1/brands", None, 422),
        ],
    )
    async def test_each_may_do_its_part(
        self, installation: Installation, acme: Company, role: Role, method: str, path: str, body: object, status: int
    ) -> None:
        clients = {Role.VIEWER: acme.viewer, Role.AGENT: acme.agent, Role.TENANT_ADMIN: acme.admin}
        client = clients.get(role) or await installation.platform_admin()
        assert (await client.request(method, path, json=body)).status_code == status

    async def test_platform_admin_acts_for_a_named_tenant(
        self, installation: Installation, acme: Company, rival: Company
    ) -> None:
        client = await installation.platform_admin(**{"X-Tenant-Id": str(acme.tenant_id)})
        brands = (await client.get("/v1/brands")).json()["items"]
        assert [brand["id"] for brand in brands] == [str(acme.brand_id)]

    @pytest.mark.parametrize("named", [str(new_id()), "nonsense"], ids=["unknown", "nonsense"])
    async def test_platform_admin_names_no_such_tenant(self, installation: Installation, named: str) -> None:
        client = await installation.platform_admin(**{"X-Tenant-Id": named})
        assert (await client.get("/v1/brands")).status_code == 404

    async def test_nobody_else_acts_for_another_tenant(self, acme: Company, rival: Company) -> None:
        answer = await acme.admin.get("/v1/brands", headers={"X-Tenant-Id": str(rival.tenant_id)})
        assert answer.status_code == 404


class TestFirstAdmin:
    def settings(self, settings: OrchestratorSettings, password: str | None) -> OrchestratorSettings:
        secret = None if password is None else SecretStr(password)
        return settings.model_copy(update={"admin_email": "First@parley.test", "admin_password": secret})

    async def test_is_made_once(
        self, installation: Installation, settings: OrchestratorSettings, database: Database
    ) -> None:
        wanted = self.settings(settings, "a first password")
        await ensure_platform_admin(database, wanted)
        await ensure_platform_admin(database, self.settings(settings, "another password"))
        client = installation.client()
        assert (await log_in(client, "first@parley.test", "a first password")).status_code == 200
        assert (await log_in(client, "first@parley.test", "another password")).status_code == 401

    async def test_without_a_password_there_is_a_warning(
        self, installation: Installation, settings: OrchestratorSettings, database: Database
    ) -> None:
        with structlog.testing.capture_logs() as lines:
            await ensure_platform_admin(database, self.settings(settings, None))
        assert [line["event"] for line in lines] == ["no_platform_admin"]


class TestServiceSecret:
    @pytest.mark.parametrize("secret", [None, "", "0" * 64, "é"])
    async def test_wrong(self, installation: Installation, secret: str | None) -> None:
        headers = [] if secret is None else [(b"X-Parley-Service", secret.encode("latin-1"))]
        client = installation.client()
        answer = await client.post("/v1/messages/inbound/batch", json={"events": []}, headers=headers)
        assert answer.status_code == 401

    async def test_right(self, installation: Installation) -> None:
        secret = crypto.derive_key(SECRET_KEY, "service").hex()
        client = installation.client(**{"X-Parley-Service": secret})
        answer = await client.post("/v1/messages/inbound/batch", json={"events": []})
        assert (answer.status_code, answer.json()) == (202, {"items": []})

    async def test_an_access_token_is_no_secret(self, acme: Company) -> None:
        assert (await acme.admin.post("/v1/messages/inbound/batch", json={"events": []})).status_code == 401
