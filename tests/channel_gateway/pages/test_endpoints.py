"""The catalogue, the widget's file and the demo page."""

import re

import pytest

from tests.channel_gateway.conftest import Gateway, MakeChannel


async def test_catalogue_names_every_channel(gateway: Gateway) -> None:
    answer = await gateway.call("GET", "/channels")
    entries = {entry["channel"]: entry for entry in answer.json["items"]}
    assert {"webchat", "whatsapp"} <= set(entries)
    whatsapp = entries["whatsapp"]
    assert whatsapp["account_id_field"] == "phone_number_id"
    assert whatsapp["capabilities"]["window_hours"] == 24
    assert set(whatsapp["credentials_schema"]["required"]) == {"phone_number_id", "access_token"}
    assert whatsapp["credentials_schema"]["properties"]["app_secret"]["writeOnly"] is True
    assert entries["webchat"]["account_id_field"] is None


async def test_widget_is_a_script_for_every_page(gateway: Gateway) -> None:
    answer = await gateway.call("GET", "/widget.js")
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert b"data-channel" in answer.body


@pytest.mark.parametrize("sink", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("])
async def test_widget_never_sets_markup(gateway: Gateway, sink: str) -> None:
    assert sink.encode() not in (await gateway.call("GET", "/widget.js")).body


async def test_demo_shows_the_first_demo_chat(gateway: Gateway, make_channel: MakeChannel) -> None:
    await make_channel("webchat")
    demo = await make_channel("webchat", settings={"demo": True})
    await gateway.app.state.parts.directory.refresh()
    answer = await gateway.call("GET", "/demo")
    assert answer.status == 200
    assert f'data-channel="{demo}"'.encode() in answer.body
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


async def test_demo_of_a_given_chat(gateway: Gateway, make_channel: MakeChannel) -> None:
    given = await make_channel("webchat")
    answer = await gateway.call("GET", "/demo", params={"channel": given})
    assert re.findall(r'data-channel="([^"]+)"', answer.body.decode()) == [given]


@pytest.mark.parametrize("channel", [None, "01890000-0000-7000-8000-00000000abcd", '"><script>alert(1)</script>', ""])
async def test_demo_without_a_chat(gateway: Gateway, channel: str | None) -> None:
    answer = await gateway.call("GET", "/demo", params={"channel": channel} if channel is not None else {})
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("application/json")
