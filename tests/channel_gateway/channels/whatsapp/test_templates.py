"""Templates: listed with their variables counted, filled after their definition."""

from typing import Any

import aiohttp
import pytest

from packages.core.domain.messages import Template
from packages.core.errors import Unavailable
from services.channel_gateway.channels import TemplateInfo
from services.channel_gateway.channels.whatsapp.channel import WhatsApp
from services.channel_gateway.channels.whatsapp.templates import Shape, described, filled
from tests.channel_gateway.channels.whatsapp.graph_double import NUMBER_ID, Answer, GraphDouble
from tests.contracts.channel import part

WABA = "100000000000101"
ORDER = {
    "name": "order_update",
    "language": "en_US",
    "status": "APPROVED",
    "category": "UTILITY",
    "id": "1",
    "components": [
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BODY", "text": "Hi {{1}}, order {{2}} has left. Thanks, {{1}}!"},
        {"type": "FOOTER", "text": "Example Shop"},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "QUICK_REPLY", "text": "Stop"},
                {"type": "URL", "text": "Track", "url": "https://x.example/{{1}}"},
                {"type": "URL", "text": "Shop", "url": "https://x.example/"},
            ],
        },
    ],
}
NAMED = {
    "name": "hello",
    "language": "de",
    "status": "PAUSED",
    "parameter_format": "NAMED",
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "For {{ name }}"},
        {"type": "BODY", "text": "Hallo {{first_name}}, {{ city }}!"},
    ],
}


def page(*items: dict[str, Any], after: str | None = None) -> Answer:
    paging = {"cursors": {"after": after}, "next": "https://…"} if after else {}
    return Answer(200, {"data": list(items), "paging": paging})


def test_described() -> None:
    assert described(ORDER) == TemplateInfo(
        name="order_update",
        language="en_US",
        status="approved",
        category="utility",
        text="Hi {{1}}, order {{2}} has left. Thanks, {{1}}!",
        body=2,
        header="image",
        header_parameters=1,
        buttons=1,
    )
    named = described(NAMED)
    assert (named.status, named.body, named.named) == ("paused", 0, ("first_name", "city"))
    assert (named.header, named.header_parameters, named.buttons) == ("text", 1, 0)


@pytest.mark.parametrize(
    "broken", [{"name": "x"}, {"name": "x", "components": [7, {}, {"type": "BUTTONS", "buttons": 1}]}]
)
def test_odd_definition_is_described(broken: dict[str, Any]) -> None:
    assert described(broken).name == "x"


async def test_all_pages_are_listed(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    graph.prepare(f"{WABA}/message_templates", page(ORDER, after="A1"), page(NAMED, {"language": "en"}))
    found = await WhatsApp().templates(graph.account(waba_id=WABA), http)
    assert [template.name for template in found] == ["order_update", "hello"]
    assert [asked.query.get("after") for asked in graph.asked] == [None, "A1"]


async def test_business_account_is_found_by_the_numbers_health(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    entities = [{"entity_type": "PHONE_NUMBER", "id": NUMBER_ID}, {"entity_type": "WABA", "id": WABA}]
    graph.prepare(NUMBER_ID, Answer(200, {"health_status": {"entities": entities}}))
    graph.prepare(f"{WABA}/message_templates", page(ORDER))
    assert len(await WhatsApp().templates(graph.account(), http)) == 1


async def test_refused_list_is_unavailable(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    with pytest.raises(Unavailable, match="waba_id"):
        await WhatsApp().templates(graph.account(), http)
    graph.prepare(f"{WABA}/message_templates", Answer(403, {"error": {"code": 200, "message": "Permissions error"}}))
    with pytest.raises(Unavailable, match="Permissions error"):
        await WhatsApp().templates(graph.account(waba_id=WABA), http)


def components(template: Template, shape: Shape | None = None) -> dict[str, Any]:
    return {component["type"]: component for component in filled(template, shape).get("components", [])}


def test_values_have_no_line_breaks() -> None:
    body = components(Template(name="t", body=("a\nb\tc", "1     2")))["body"]
    assert [parameter["text"] for parameter in body["parameters"]] == ["a b c", "1 2"]


def test_named_values() -> None:
    body = components(Template(name="t", named={"first_name": "Alex"}))["body"]
    assert body["parameters"] == [{"type": "text", "parameter_name": "first_name", "text": "Alex"}]


def test_template_without_values_has_no_components() -> None:
    assert filled(Template(name="t", language="pt_BR"), None) == {"name": "t", "language": {"code": "pt_BR"}}


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("https://x.example/a.PNG", None, {"type": "image", "image": {"link": "https://x.example/a.PNG"}}),
        ("https://x.example/a.mp4?s=1", None, {"type": "video", "video": {"link": "https://x.example/a.mp4?s=1"}}),
        ("https://x.example/f", None, {"type": "document", "document": {"link": "https://x.example/f"}}),
        ("https://x.example/f", "image", {"type": "image", "image": {"link": "https://x.example/f"}}),
        ("https://x.example/f", "text", {"type": "text", "text": "https://x.example/f"}),
        ("1234", "video", {"type": "video", "video": {"id": "1234"}}),
        ("Alex", None, {"type": "text", "text": "Alex"}),
    ],
)
def test_header(value: str, kind: str | None, expected: dict[str, Any]) -> None:
    shape = Shape(header=kind, buttons=()) if kind else None
    assert components(Template(name="t", header=(value,)), shape)["header"]["parameters"] == [expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("1001",), [("url", "1", {"type": "text", "text": "1001"})]),
        (
            ("stop", "1001", ""),
            [
                ("quick_reply", "0", {"type": "payload", "payload": "stop"}),
                ("url", "1", {"type": "text", "text": "1001"}),
            ],
        ),
        ((), []),
    ],
)
def test_buttons_after_the_definition(values: tuple[str, ...], expected: list[Any]) -> None:
    shape = Shape(header=None, buttons=(("quick_reply", False), ("url", True), ("url", False)))
    found = filled(Template(name="t", buttons=values), shape).get("components", [])
    assert [(button["sub_type"], button["index"], *button["parameters"]) for button in found] == expected


def test_code_to_copy() -> None:
    shape = Shape(header=None, buttons=(("copy_code", True),))
    [button] = filled(Template(name="t", buttons=("SAVE10",)), shape)["components"]
    assert button["parameters"] == [{"type": "coupon_code", "coupon_code": "SAVE10"}]


async def test_definition_is_asked_for_once(graph: GraphDouble, http: aiohttp.ClientSession) -> None:
    whatsapp = WhatsApp()
    graph.prepare(f"{WABA}/message_templates", page({**ORDER, "language": "de"}, ORDER))
    template = Template(name="order_update", language="en_US", body=("Alex", "1"), buttons=("1001",))
    for _ in range(2):
        found = await whatsapp.send(part("", template=template), graph.account(waba_id=WABA), http)
        assert found.outcome == "sent"
    assert graph.paths == [f"GET /v26.0/{WABA}/message_templates", *[f"POST /v26.0/{NUMBER_ID}/messages"] * 2]
    [button] = [c for c in graph.asked[-1].body["template"]["components"] if c["type"] == "button"]
    assert (button["sub_type"], button["index"]) == ("url", "1")


async def test_template_without_header_and_buttons_needs_no_definition(
    graph: GraphDouble, http: aiohttp.ClientSession
) -> None:
    await WhatsApp().send(part("", template=Template(name="t", body=("x",))), graph.account(waba_id=WABA), http)
    assert graph.paths == [f"POST /v26.0/{NUMBER_ID}/messages"]
