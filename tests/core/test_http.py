"""Request ids, the one form of errors, body limits, health and metrics, on a small app of its own."""

from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from fastapi import APIRouter, FastAPI, Request, UploadFile
from pydantic import BaseModel, Field
from redis.exceptions import ConnectionError as RedisConnectionError
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Message

from packages.core import errors, http
from packages.core.db.session import Database
from packages.core.logging import request_id
from services.local.engines import free_port

LIMIT = 2000


class Body(BaseModel):
    """A body with a secret in it."""

    password: str = Field(max_length=5)


def sample_app(quiet: tuple[str, ...] = ()) -> FastAPI:
    """Routes that fail in each way."""
    app = FastAPI()
    router = APIRouter(prefix="/v1")
    dead = Database(f"postgresql://nobody:x@127.0.0.1:{free_port()}/none")

    @router.post("/body")
    async def body(_body: Body) -> dict[str, str | None]:
        return {"seen": request_id.get()}

    @router.post("/upload")
    async def upload(file: UploadFile) -> int:
        return len(await file.read())

    @router.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @router.get("/raise/{kind}")
    async def fail(kind: str) -> None:
        if kind == "postgres":
            async with dead.across_tenants() as session:
                await session.connection()
        raise {
            "conflict": errors.Conflict("Taken.", details={"slug": "acme"}),
            "limited": errors.RateLimited("Slower.", retry_after=7.2),
            "http": HTTPException(403, "No."),
            "redis": RedisConnectionError("redis://:hunter2@host is away"),
            "bug": KeyError("a bug"),
        }[kind]

    @router.get("/torn")
    async def torn() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            raise RuntimeError("in the middle")

        return StreamingResponse(parts())

    app.include_router(router)

    async def fine() -> None:
        return None

    async def away() -> None:
        raise RedisConnectionError("redis://:hunter2@host is away")

    app.state.checks = {"postgres": fine}
    app.state.away = away
    http.install(app, lambda: app.state.checks, max_body=LIMIT, spans=True, quiet=quiet)
    return app


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return sample_app()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


class TestRequestID:
    async def test_made_when_absent(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/healthz")
        assert len(answer.headers["X-Request-Id"]) == 32

    async def test_taken_from_the_caller_and_visible_inside(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/body", json={"password": "x"}, headers={"X-Request-Id": "order-77"})
        assert answer.headers["X-Request-Id"] == "order-77"
        assert answer.json() == {"seen": "order-77"}

    @pytest.mark.parametrize("bad", ["a b", "x" * 129, "é", 'a"b'])
    async def test_unsafe_ones_are_replaced(self, client: httpx.AsyncClient, bad: str) -> None:
        answer = await client.get("/healthz", headers=[(b"X-Request-Id", bad.encode("latin-1"))])
        assert len(answer.headers["X-Request-Id"]) == 32

    async def test_gone_after_the_request(self, client: httpx.AsyncClient) -> None:
        await client.get("/healthz")
        assert request_id.get() is None


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("conflict", 409, "conflict"),
        ("limited", 429, "rate_limited"),
        ("http", 403, "forbidden"),
        ("redis", 503, "unavailable"),
        ("postgres", 503, "unavailable"),
        ("bug", 500, "internal"),
    ],
)
async def test_every_failure_has_the_one_form(client: httpx.AsyncClient, kind: str, status: int, code: str) -> None:
    answer = await client.get(f"/v1/raise/{kind}", headers={"X-Request-Id": "r1"})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["request_id"] == "r1" == answer.headers["X-Request-Id"]
    assert "hunter2" not in answer.text


async def test_details_and_headers_of_refusals(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/raise/conflict")).json()["error"]["details"] == {"slug": "acme"}
    assert (await client.get("/v1/raise/limited")).headers["Retry-After"] == "7"


@pytest.mark.parametrize(("path", "status", "code"), [("/nowhere", 404, "not_found"), ("/v1/body", 405, None)])
async def test_routing_errors(client: httpx.AsyncClient, path: str, status: int, code: str | None) -> None:
    answer = await client.get(path)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == (code or "method_not_allowed")


async def test_malformed_input_names_the_field_and_not_the_value(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/body", json={"password": "hunter2-is-long"})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == "body.password"
    assert "hunter2" not in answer.text


class TestBodyLimit:
    @pytest.mark.parametrize("path", ["/v1/raw", "/v1/body"])
    async def test_announced(self, client: httpx.AsyncClient, path: str) -> None:
        answer = await client.post(path, content=b"x" * (LIMIT + 1))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")

    @pytest.mark.parametrize("path", ["/v1/raw", "/v1/body"])
    async def test_found_out_while_reading(self, client: httpx.AsyncClient, path: str) -> None:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 1000

        answer = await client.post(path, content=parts(), headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")

    async def test_multipart(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/upload", files={"file": b"x" * (LIMIT + 1)})
        assert answer.status_code == 413

    async def test_per_path(self) -> None:
        app = FastAPI()
        http.install(app, dict, max_body=lambda path: 10 if path == "/small" else 100)

        @app.post("/{name}")
        async def take(request: Request, name: str) -> int:
            return len(await request.body())

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            assert (await client.post("/small", content=b"x" * 11)).status_code == 413
            assert (await client.post("/large", content=b"x" * 11)).json() == 11


async def test_a_torn_answer_breaks_off(client: httpx.AsyncClient) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        await client.get("/v1/torn")


async def test_a_client_that_goes_away_is_no_crash(app: FastAPI) -> None:
    scope = {"type": "http", "method": "POST", "path": "/v1/raw", "headers": [], "query_string": b"", "root_path": ""}
    answers: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        answers.append(message)

    with structlog.testing.capture_logs() as lines:
        await app(scope, receive, send)
    assert answers == []
    assert [(line["event"], line.get("status")) for line in lines] == [("client_went_away", None), ("request", 499)]


class TestReadiness:
    async def test_names_each_dependency(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["dependencies"]) == (200, {"postgres": "ok"})

    async def test_says_which_is_away_without_its_password(self, app: FastAPI, client: httpx.AsyncClient) -> None:
        app.state.checks = {"postgres": app.state.checks["postgres"], "redis": app.state.away}
        answer = await client.get("/readyz")
        app.state.checks.pop("redis")
        assert answer.status_code == 503
        assert answer.json()["dependencies"]["redis"] == "unavailable (ConnectionError)"
        assert "hunter2" not in answer.text


async def test_metrics_count_by_route_and_not_by_path(client: httpx.AsyncClient) -> None:
    for kind in ("conflict", "http"):
        await client.get(f"/v1/raise/{kind}")
    await client.get("/nowhere-12345")
    text = (await client.get("/metrics")).text
    assert 'route="/v1/raise/{kind}",status="409"' in text
    assert "nowhere-12345" not in text


@pytest.mark.parametrize(
    ("quiet", "path", "logged"),
    [((), "/v1/raw", True), (("/v1",), "/v1/raw", False), (("/v1",), "/v1/raise/bug", True)],
)
async def test_request_log(quiet: tuple[str, ...], path: str, logged: bool) -> None:
    transport = httpx.ASGITransport(sample_app(quiet))
    with structlog.testing.capture_logs() as lines:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await (client.get(path) if "raise" in path else client.post(path, content=b""))
    assert ("request" in [line["event"] for line in lines]) is logged
