"""Running what a model asks for: once, within its rights, whatever the endpoint does."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from packages.core.db.base import now
from packages.core.db.tables.actions import ActionCall
from services.local.engines import free_port
from services.orchestrator.acting import runner
from services.orchestrator.acting.requests import Asked
from services.orchestrator.outside import Outside
from tests.factories.actions import LOOKUP, Stage, make_stage
from tests.fakes.shop_api import ShopAPI

ORDER_ID = {"order_id": "3348917502"}


async def lookup(stage: Stage, shop: ShopAPI, **settings: object) -> None:
    await stage.add("order_lookup", "look_up_order", {"url": f"{shop.url}/orders/{{order_id}}", **LOOKUP, **settings})


class TestRun:
    async def test_gives_what_the_endpoint_says(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop)
        ran = await stage.run("look_up_order", ORDER_ID)
        assert ran.result.data == {"found": True, "state": "in transit", "items": ["Jeans", "Boots"]}
        assert shop.heard[0].path == "/orders/3348917502"

    async def test_is_on_record(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop)
        ran = await stage.run("look_up_order", {"orderId": "#3348917502"}, step=1)
        [call] = await stage.calls()
        assert (call.id, call.status, call.step, call.requested_by) == (ran.record_id, "done", 1, "model")
        assert call.arguments == ORDER_ID
        assert call.repairs[0] == "orderId: taken as order_id"
        assert shop.heard[0].headers["idempotency-key"] == str(call.id)

    async def test_reads_run_side_by_side(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop)
        asked = [Asked("look_up_order", {"order_id": str(number)}) for number in (3348917502, 7916676427)]
        ran = await stage.actions.run(asked, stage.turn(said="3348917502 and 7916676427"))
        assert [one.result.ok for one in ran] == [True, True]
        assert len({one.record_id for one in ran}) == 2

    async def test_a_brand_without_actions_is_offered_none(self, stage: Stage) -> None:
        assert await stage.actions.offered(stage.brand) == []

    async def test_another_tenants_actions_are_not_there(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop)
        other = await make_stage(stage.database)
        ran = await other.run("look_up_order", ORDER_ID)
        assert ran.status == "refused"
        assert shop.heard == []


class TestRights:
    async def test_a_name_that_is_not_offered_is_told_to_the_model(self, stage: Stage) -> None:
        ran = await stage.run("delete_everything")
        assert (ran.status, ran.result.ok) == ("refused", False)
        assert "no action 'delete_everything'" in (ran.result.error or "")

    async def test_an_identifier_that_the_customer_never_said_is_refused(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop)
        ran = await stage.run("look_up_order", {"order_id": "9999999999"})
        assert "the customer did not say this" in (ran.result.error or "")
        assert shop.heard == []

    async def test_a_rule_may_name_what_it_likes(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop)
        ran = await stage.run("look_up_order", {"order_id": "9999999999"}, stage.turn(said=None, requested_by="rule"))
        assert ran.result.ok

    async def test_an_unverified_customer_gets_nothing(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop, verified_only=True)
        ran = await stage.run("look_up_order", ORDER_ID, stage.turn(said="I am verified, 3348917502"))
        assert (ran.result.error or "").startswith("identity_needed")
        assert shop.heard == []

    async def test_a_verified_customer_does(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop, verified_only=True, url=f"{shop.url}/o/{{order_id}}?email={{customer.email}}")
        await stage.verify_customer()
        ran = await stage.run("look_up_order", ORDER_ID)
        assert ran.result.ok
        assert shop.heard[0].path == "/o/3348917502?email=cminh730%40example.com"

    async def test_the_admin_may_ask_for_more_than_the_action(self, stage: Stage) -> None:
        await stage.add("create_ticket", "open_ticket", identity="verified")
        ran = await stage.run("open_ticket", {"subject": "Help me"})
        assert (ran.result.error or "").startswith("identity_needed")

    async def test_a_suspect_turn_changes_nothing_without_a_person(self, stage: Stage) -> None:
        await stage.add("create_ticket", "open_ticket")
        ran = await stage.run("open_ticket", {"subject": "Help me"}, stage.turn(is_suspect=True))
        assert ran.status == "waiting"

    async def test_a_test_answer_has_no_effect(self, stage: Stage) -> None:
        await stage.add("create_ticket", "open_ticket")
        ran = await stage.run("open_ticket", {"subject": "Help me"}, stage.turn(conversation_id=None))
        assert ran.result.data["dry_run"] is True
        async with stage.database.tenant(stage.tenant_id) as session:
            assert (await session.execute(text("SELECT count(*) FROM ticket"))).scalar() == 0


class TestOnce:
    async def test_the_same_request_again_is_not_run_again(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop)
        first = await stage.run("look_up_order", ORDER_ID)
        again = await stage.run("look_up_order", {"order_id": "334-891-7502"}, step=1)
        assert (again.repeated, again.result.data) == (True, first.result.data)
        assert len(shop.heard) == 1

    async def test_a_turn_that_is_decided_anew_writes_once(self, stage: Stage) -> None:
        await stage.add("create_ticket", "open_ticket")
        first = await stage.run("open_ticket", {"subject": "Refund wanted"})
        again = await stage.run("open_ticket", {"subject": "The customer wants a refund"})
        assert again.result.data == first.result.data
        assert len(await stage.calls()) == 1

    async def test_the_next_turn_may(self, stage: Stage) -> None:
        await stage.add("create_ticket", "open_ticket")
        first = await stage.run("open_ticket", {"subject": "Refund wanted"}, stage.turn("a"))
        second = await stage.run("open_ticket", {"subject": "Refund wanted"}, stage.turn("b"))
        assert first.result.data["ticket"] != second.result.data["ticket"]

    async def test_twenty_at_once_are_one_call(self, stage: Stage, shop: ShopAPI) -> None:
        await stage.add("order_lookup", "refund", {"url": f"{shop.url}/r", "arguments": [], "method": "POST"})
        results = await asyncio.gather(*(stage.run("refund") for _ in range(20)))
        assert {ran.status for ran in results} == {"done"}
        assert len(shop.heard) == 1

    async def test_a_call_whose_process_died_is_run_again_if_harmless(self, stage: Stage) -> None:
        await stage.add("create_ticket", "open_ticket")
        first = await stage.run("open_ticket", {"subject": "Help me"})
        await self._die(stage)
        again = await stage.run("open_ticket", {"subject": "Help me"})
        assert again.result.data["ticket"] == first.result.data["ticket"]

    async def test_and_is_in_doubt_if_not(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        await stage.add("create_ticket", "open_ticket")
        await stage.run("open_ticket", {"subject": "Help me"})
        await self._die(stage)
        monkeypatch.setattr(type(stage.actions.registry["create_ticket"]), "is_repeatable", False)
        again = await stage.run("open_ticket", {"subject": "Help me"})
        assert again.status == "in_doubt"

    async def _die(self, stage: Stage) -> None:
        """As if the process had died between the call and its settling."""
        async with stage.database.tenant(stage.tenant_id) as session:
            call = await session.get(ActionCall, (await stage.calls())[0].id)
            assert call is not None
            call.status, call.result, call.lease_until = "running", None, now() - timedelta(seconds=1)


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "code"),
        [("500", "server_error"), ("429", "rate_limited"), ("403", "unauthorized"), ("html", "malformed"),
         ("large", "too_large"), ("cut", "broken"), ("418", "rejected")],
    )  # fmt: skip
    async def test_the_endpoints_fault_is_a_result(self, stage: Stage, shop: ShopAPI, fault: str, code: str) -> None:
        await lookup(stage, shop)
        shop.fault = fault
        ran = await stage.run("look_up_order", ORDER_ID)
        assert (ran.status, ran.result.ok) == ("failed", False)
        assert (ran.result.error or "").startswith(code)

    async def test_a_slow_endpoint_costs_its_time_limit(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop, timeout_seconds=0.2)
        shop.fault = "hang"
        started = asyncio.get_running_loop().time()
        ran = await stage.run("look_up_order", ORDER_ID)
        assert (ran.result.error or "").startswith("timeout")
        assert asyncio.get_running_loop().time() - started < 1.5

    async def test_the_turns_time_bounds_it_too(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop)
        shop.fault = "hang"
        ran = await stage.run("look_up_order", ORDER_ID, stage.turn(seconds=0.2))
        assert (ran.result.error or "").startswith("timeout")

    async def test_an_endpoint_that_is_down(self, stage: Stage) -> None:
        await stage.add(
            "order_lookup", "look_up_order", LOOKUP | {"url": f"http://127.0.0.1:{free_port()}/{{order_id}}"}
        )
        ran = await stage.run("look_up_order", ORDER_ID)
        assert (ran.result.error or "").startswith("unreachable")

    async def test_an_order_that_is_not_there_is_a_result(self, stage: Stage, shop: ShopAPI) -> None:
        await lookup(stage, shop)
        shop.fault = "404"
        ran = await stage.run("look_up_order", ORDER_ID)
        assert (ran.result.ok, ran.result.data) == (True, {"found": False})

    async def test_an_endpoint_that_keeps_failing_is_spared(
        self, stage: Stage, shop: ShopAPI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await lookup(stage, shop)
        shop.fault = "500"
        for number in range(runner.FAILURES_IN_ROW):
            await stage.run("look_up_order", ORDER_ID, stage.turn(f"turn-{number}"))
        spared = await stage.run("look_up_order", ORDER_ID, stage.turn("another"))
        assert (spared.result.error or "").startswith("circuit_open")
        assert len(shop.heard) == runner.FAILURES_IN_ROW
        monkeypatch.setattr(runner, "COOL_DOWN", 0.0)
        shop.fault = ""
        assert (await stage.run("look_up_order", ORDER_ID, stage.turn("later"))).result.ok

    async def test_a_private_address_is_refused(self, stage: Stage, shop: ShopAPI) -> None:
        guarded = await make_stage(stage.database, outside=Outside())
        await lookup(guarded, shop)
        ran = await guarded.run("look_up_order", ORDER_ID)
        assert (ran.result.error or "").startswith("forbidden_address")
        assert shop.heard == []
        await guarded.actions.outside.close()
