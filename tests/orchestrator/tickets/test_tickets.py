"""Tickets over the API."""

from uuid import uuid4

from tests.factories.companies import Company


async def opened(company: Company, **more: object) -> dict[str, object]:
    body = {"brand_id": str(company.brand_id), "subject": "Broken zip", **more}
    answer = await company.agent.post("/v1/tickets", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, object] = answer.json()
    return made


class TestTickets:
    async def test_opened_closed_and_open_again(self, acme: Company) -> None:
        ticket = await opened(acme, priority="high")
        closed = (await acme.agent.patch(f"/v1/tickets/{ticket['id']}", json={"status": "closed"})).json()
        again = (await acme.agent.patch(f"/v1/tickets/{ticket['id']}", json={"status": "open"})).json()
        assert (ticket["status"], closed["status"], again["closed_at"]) == ("open", "closed", None)
        assert closed["closed_at"]

    async def test_numbers_grow(self, acme: Company) -> None:
        first, second = await opened(acme), await opened(acme)
        assert int(str(second["number"])) > int(str(first["number"])) > 1000

    async def test_found_by_what_they_are(self, acme: Company) -> None:
        await opened(acme)
        callback = await opened(acme, kind="callback")
        found = (await acme.viewer.get("/v1/tickets?kind=callback&status=open")).json()["items"]
        assert [item["id"] for item in found] == [callback["id"]]

    async def test_another_tenant_sees_none(self, acme: Company, rival: Company) -> None:
        ticket = await opened(acme)
        assert (await rival.agent.get("/v1/tickets")).json()["items"] == []
        assert (await rival.agent.patch(f"/v1/tickets/{ticket['id']}", json={"status": "closed"})).status_code == 404
        body = {"brand_id": str(acme.brand_id), "subject": "Theirs"}
        assert (await rival.agent.post("/v1/tickets", json=body)).status_code == 404

    async def test_viewers_only_look(self, acme: Company) -> None:
        body = {"brand_id": str(acme.brand_id), "subject": "No"}
        assert (await acme.viewer.post("/v1/tickets", json=body)).status_code == 403

    async def test_no_such_conversation(self, acme: Company) -> None:
        body = {"brand_id": str(acme.brand_id), "subject": "No", "conversation_id": str(uuid4())}
        assert (await acme.agent.post("/v1/tickets", json=body)).status_code == 404
