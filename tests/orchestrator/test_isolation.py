"""Nothing crosses tenants: every route of the API is walked, so that a new one cannot be forgotten here."""

import re
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from packages.core.db.base import new_id
from packages.core.db.repositories.deliveries import Draft, queue
from packages.core.db.tables.accounts import APIKey
from packages.core.db.tables.actions import ActionCall, ActionConfig, Ticket
from packages.core.db.tables.evaluations import EvaluationItem, EvaluationRun, EvaluationSet
from packages.core.db.tables.gaps import KnowledgeGap
from packages.core.db.tables.knowledge import KnowledgeSource
from packages.core.db.tables.ledger import InboundLedger
from services.orchestrator.app import create_app
from services.orchestrator.intake import Intake
from services.orchestrator.settings import OrchestratorSettings
from tests.factories.companies import Company, Installation
from tests.factories.pipeline import make_channel, message_event

OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("POST", "/v1/auth/token"),
    ("POST", "/v1/auth/refresh"),
}
PLATFORM = {("GET", "/v1/tenants/{tenant_id}")}
"""Routes whose ids are the platform's business: nobody else gets there at all."""

OF_VERSIONS = {
    ("GET", "/v1/brands/{brand_id}/knowledge/{source_id}/blocks"),
    ("POST", "/v1/brands/{brand_id}/knowledge/{source_id}/rollback"),
}
"""What a source that was never read does not have, even for its owner."""

BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", "/v1/users/{user_id}"): {"name": "x"},
    ("PATCH", "/v1/brands/{brand_id}"): {"name": "x"},
    ("PUT", "/v1/brands/{brand_id}/persona"): {"display_name": "x"},
    ("POST", "/v1/brands/{brand_id}/channels"): {
        "channel": "webchat",
        "name": "x",
        "credentials": {"allowed_origins": []},
    },
    ("PATCH", "/v1/brands/{brand_id}/channels/{channel_config_id}"): {"name": "x"},
    ("POST", "/v1/brands/{brand_id}/knowledge"): {"text": "x", "title": "x"},
    ("POST", "/v1/brands/{brand_id}/knowledge/search"): {"query": "x"},
    ("POST", "/v1/brands/{brand_id}/knowledge/explain"): {"question": "x"},
    ("POST", "/v1/brands/{brand_id}/answers"): {"question": "x"},
    ("PATCH", "/v1/brands/{brand_id}/gaps/{gap_id}"): {"status": "dismissed"},
    ("POST", "/v1/brands/{brand_id}/gaps/{gap_id}/approve"): {"question": "x", "answer": "y"},
    ("POST", "/v1/brands/{brand_id}/evaluations"): {"name": "x"},
    ("POST", "/v1/brands/{brand_id}/evaluations/{set_id}/items"): {"items": [{"question": "x", "abstain": True}]},
    ("POST", "/v1/brands/{brand_id}/evaluations/{set_id}/grow"): {},
    ("POST", "/v1/brands/{brand_id}/evaluations/{set_id}/runs"): {},
    ("POST", "/v1/brands/{brand_id}/evaluations/{set_id}/runs/{run_id}/gate"): {},
    ("PATCH", "/v1/brands/{brand_id}/actions/{action_id}"): {"dry_run": True},
    ("POST", "/v1/brands/{brand_id}/actions"): {"action": "hand_over", "name": "to_people"},
    ("POST", "/v1/brands/{brand_id}/actions/{action_id}/dry-run"): {"arguments": {}},
    ("PATCH", "/v1/tickets/{ticket_id}"): {"subject": "y"},
    ("POST", "/v1/action-calls/{call_id}/approve"): {},
    ("POST", "/v1/action-calls/{call_id}/deny"): {},
    ("PATCH", "/v1/brands/{brand_id}/knowledge/{source_id}"): {"title": "y"},
    ("POST", "/v1/brands/{brand_id}/knowledge/{source_id}/rollback"): {"version": 1},
    ("POST", "/v1/conversations/{conversation_id}/messages"): {"text": "x"},
    ("POST", "/v1/conversations/{conversation_id}/notes"): {"text": "x"},
    ("POST", "/v1/conversations/{conversation_id}/assign"): {"assignee_id": str(new_id())},
}


def routes() -> list[tuple[str, str]]:
    """Method and path of everything the API describes."""
    paths: dict[str, dict[str, Any]] = create_app(OrchestratorSettings(_env_file=None)).openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


ROUTES = routes()
WITH_IDS = [route for route in ROUTES if "{" in route[1] and route not in PLATFORM]


@pytest_asyncio.fixture
async def ids(installation: Installation, rival: Company) -> dict[str, UUID]:
    """One of everything that has an id, all of them the rival's."""
    channel = await make_channel(installation.database, rival.owner)
    taken = (await installation.parts.get(Intake).take([message_event(rival.owner, channel)]))[0]
    assert taken.conversation_id
    source = KnowledgeSource(
        tenant_id=rival.tenant_id, brand_id=rival.brand_id, title="x", kind="text", media_type="text/plain",
        status="failed",
    )  # fmt: skip
    key = APIKey(tenant_id=rival.tenant_id, name="x", token_hash="x", role="agent", scopes=["stream"])
    ledger = InboundLedger(
        tenant_id=rival.tenant_id, channel_config_id=channel, external_id="x", kind="message", state="failed"
    )
    draft = Draft(
        tenant_id=rival.tenant_id, brand_id=rival.brand_id, conversation_id=taken.conversation_id,
        channel_config_id=channel, recipient="x", author="agent", text="x",
    )  # fmt: skip
    gap = KnowledgeGap(
        tenant_id=rival.tenant_id, brand_id=rival.brand_id, question="x", embedder="x", centroid=bytes(8)
    )
    owned = {"tenant_id": rival.tenant_id, "brand_id": rival.brand_id}
    questions = EvaluationSet.model_validate(owned | {"name": "x"})
    item = EvaluationItem(tenant_id=rival.tenant_id, set_id=questions.id, question="x", digest="x")
    run = EvaluationRun.model_validate(owned | {"set_id": questions.id})
    action = ActionConfig.model_validate(owned | {"action": "hand_over", "name": "hand_over"})
    asked = owned | {"action": "hand_over", "name": "hand_over", "idempotency_key": "x", "status": "waiting"}
    action_call = ActionCall.model_validate(asked)
    ticket = Ticket.model_validate(owned | {"subject": "x"})
    async with installation.database.tenant(rival.tenant_id) as session:
        await queue(session, draft, republish_seconds=3600)
        session.add_all([source, key, ledger, gap, questions, action, action_call, ticket])
        await session.flush()
        session.add_all([item, run])
    return {
        "brand_id": rival.brand_id,
        "user_id": rival.agent_id,
        "key_id": key.id,
        "channel_config_id": channel,
        "source_id": source.id,
        "conversation_id": taken.conversation_id,
        "ledger_id": ledger.id,
        "delivery_id": draft.id,
        "gap_id": gap.id,
        "set_id": questions.id,
        "item_id": item.id,
        "run_id": run.id,
        "action_id": action.id,
        "call_id": action_call.id,
        "ticket_id": ticket.id,
    }


async def call(
    client: httpx.AsyncClient, method: str, path: str, ids: dict[str, UUID], **body: object
) -> httpx.Response:
    url = re.sub(r"{(\w+)}", lambda found: str(ids[found.group(1)]), path)
    wanted = BODIES.get((method, path))
    return await client.request(method, url, json=wanted | body if wanted is not None else None)


async def test_another_tenants_ids_do_not_exist(acme: Company, ids: dict[str, UUID]) -> None:
    answers = {route: await call(acme.admin, *route, ids) for route in WITH_IDS}
    found = {route: answer.status_code for route, answer in answers.items() if answer.status_code != 404}
    assert found == {}
    assert {answer.json()["error"]["code"] for answer in answers.values()} == {"not_found"}


async def test_strange_ids_below_ones_own_brand_do_not_exist(acme: Company, ids: dict[str, UUID]) -> None:
    below = [route for route in WITH_IDS if "{brand_id}" in route[1] and route[1].count("{") > 1]
    answers = {route: await call(acme.admin, *route, ids | {"brand_id": acme.brand_id}) for route in below}
    assert {route: answer.status_code for route, answer in answers.items() if answer.status_code != 404} == {}
    assert len(below) >= 6


async def test_their_owner_finds_them(rival: Company, ids: dict[str, UUID]) -> None:
    """Without this, a mistake in the ids above would look like isolation. What ends things comes last."""
    order = sorted(WITH_IDS, key=lambda route: (route[0] == "DELETE", route[1].endswith("/resolve"), -len(route[1])))
    wrong = {}
    for route in order:
        body = {"assignee_id": str(rival.agent_id)} if route[1].endswith("/assign") else {}
        answer = await call(rival.admin, *route, ids, **body)
        missing = answer.status_code == 404 and route not in OF_VERSIONS
        if missing or answer.status_code in {401, 403, 422, 500}:
            wrong[route] = answer.text
    assert wrong == {}


async def test_nobody_gets_in_without_a_token(installation: Installation) -> None:
    names = {name for _, path in ROUTES for name in re.findall(r"{(\w+)}", path)}
    ids = {name: new_id() for name in names}
    closed = [route for route in ROUTES if route not in OPEN]
    answers = {route: await call(installation.client(), *route, ids) for route in closed}
    assert {route: answer.status_code for route, answer in answers.items() if answer.status_code != 401} == {}


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/healthz", "/readyz", "/metrics"])
async def test_what_is_open(installation: Installation, path: str) -> None:
    assert (await installation.client().get(path)).status_code == 200


async def test_lists_hold_only_ones_own(acme: Company, ids: dict[str, UUID]) -> None:
    paths = ["/v1/conversations", "/v1/ledger", "/v1/deliveries", "/v1/knowledge/failed", "/v1/api-keys"]
    for path in paths:
        assert (await acme.admin.get(path)).json()["items"] == []
    emails = {user["email"] for user in (await acme.admin.get("/v1/users")).json()["items"]}
    assert emails == {"tenant_admin@acme.test", "agent@acme.test", "viewer@acme.test"}


async def test_lists_of_another_tenants_parent(acme: Company, rival: Company, ids: dict[str, UUID]) -> None:
    ledger = await acme.admin.get("/v1/ledger", params={"channel_config_id": str(ids["channel_config_id"])})
    conversations = await acme.admin.get("/v1/conversations", params={"brand_id": str(rival.brand_id)})
    assert ledger.status_code == 404
    assert conversations.json()["items"] == []


async def test_bodies_name_only_ones_own(acme: Company, ids: dict[str, UUID]) -> None:
    body = {"channel_config_id": str(ids["channel_config_id"]), "external_id": "1", "sender": {"external_id": "2"}}
    assert (await acme.admin.post("/v1/messages/inbound", json=body)).status_code == 404


async def test_assigning_to_another_tenants_agent(installation: Installation, acme: Company, rival: Company) -> None:
    channel = await make_channel(installation.database, acme.owner)
    taken = (await installation.parts.get(Intake).take([message_event(acme.owner, channel)]))[0]
    answer = await acme.agent.post(
        f"/v1/conversations/{taken.conversation_id}/assign", json={"assignee_id": str(rival.agent_id)}
    )
    assert answer.status_code == 404


async def test_routes_of_the_platform_are_closed_to_tenants(acme: Company) -> None:
    for method, path in PLATFORM:
        assert (await call(acme.admin, method, path, {"tenant_id": acme.tenant_id})).status_code == 403
