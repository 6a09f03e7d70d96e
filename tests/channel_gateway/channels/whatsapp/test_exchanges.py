"""Recorded requests and answers of the Cloud API: we ask as it is written there, and read the answer as described."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from packages.core.domain.messages import Button, Reaction, Signal, Template
from services.channel_gateway.channels import File, Part
from services.channel_gateway.channels.whatsapp import channel
from services.channel_gateway.channels.whatsapp.templates import Shape, filled
from tests.channel_gateway.channels.whatsapp.graph_double import NUMBER_ID, Answer, GraphDouble
from tests.contracts.channel import MESSAGE_ID, part

HERE = Path(__file__).parent
CASES = {case["file"]: case for case in json.loads((HERE / "exchanges_expected.json").read_text())}
OUTCOMES = {
    "accepted": "sent",
    "retry": "retry",
    "permanent": "failed",
    "channel_down": "failed",
    "unknown": "in_doubt",
}
SHOWN = "wamid.HBgLMTIwMjU1NTAxMjMVAgASGBRGNTlEREIzMDI3OTYyQTE5OEYxNgA="

# Exchanges that are not sends of this product, or differ from how it sends, and why.
DEVIATIONS = {
    "location.json": "the brand's side sends no locations",
    "contacts.json": "the brand's side sends no contact cards",
    "buttons.json": "the footer is not used",
    "list.json": "header and several sections are not used: the choices stand in one section",
    "image_link.json": "files go up first, as the platform advises; only those above 16 MiB go by link",
    "error_131047.json": "refused for the closed window: held, for it may go later",
}
ELSEWHERE = {
    "mark_read.json": "test_signals",
    "typing.json": "test_signals",
    "media_upload.json": "test_media",
    "media_lookup.json": "test_media",
    "media_download_expired.json": "test_media",
}


async def _pdf() -> bytes:
    return b"%PDF-1.7"


def file(kind: str, media_type: str, filename: str) -> File:
    return File(kind=kind, media_type=media_type, filename=filename, size=8, url="https://x.example/f", read=_pdf)


PARTS: dict[str, dict[str, Any]] = {
    "document_id.json": {"text": "Invoice", "file": file("document", "application/pdf", "invoice.pdf")},
    "voice_note.json": {"text": "", "file": file("audio", "audio/ogg; codecs=opus", "note.ogg")},
    "image_link.json": {"text": "A picture", "file": file("image", "image/jpeg", "a.jpg")},
    "buttons.json": {
        "text": "Deliver today?",
        "buttons": (Button(title="Yes", payload="yes"), Button(title="No", payload="no")),
    },
    "list.json": {
        "text": "Which one?",
        "buttons": (
            Button(title="Express", payload="priority_express", description="Next day"),
            *(Button(title=f"Standard {number}", payload=f"std{number}") for number in range(3)),
        ),
    },
    "cta_url.json": {"text": "Track it", "buttons": (Button(title="Open", url="https://example.com/t/1"),)},
    "template_paced.json": {"text": "", "template": Template(name="hello_world", language="en_US")},
    "template.json": {
        "text": "",
        "template": Template(
            name="order_update",
            language="en_US",
            header=("https://cdn.example.com/a.jpg",),
            body=("Alex", "1001"),
            buttons=("track_1001",),
        ),
    },
    "reaction.json": {"text": "", "reaction": Reaction(target=SHOWN, emoji="😀")},
    "reaction_remove.json": {"text": "", "reaction": Reaction(target=SHOWN)},
}


def exchange(name: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((HERE / "exchanges" / name).read_text())
    return recorded


def part_of(name: str, wanted: dict[str, Any]) -> Part:
    fields = dict(PARTS.get(name) or {"text": wanted.get("text", {}).get("body", "x")})
    fields["recipient"] = wanted.get("to") or wanted["recipient"]
    fields["reply_to"] = wanted.get("context", {}).get("message_id")
    return part(**fields)


def recorded_answer(name: str) -> Answer:
    answer = exchange(name)["response"]
    return Answer(answer["status"], answer["json"] if "json" in answer else answer.get("text", ""))


def test_every_exchange_is_tested_or_listed() -> None:
    assert set(CASES) == {path.name for path in (HERE / "exchanges").glob("*.json")}
    assert DEVIATIONS.keys() | ELSEWHERE.keys() <= set(CASES)


@pytest.mark.parametrize("name", [name for name in CASES if name not in ELSEWHERE])
async def test_recorded_exchange(graph: GraphDouble, http: aiohttp.ClientSession, name: str) -> None:
    recorded, expected = exchange(name), CASES[name]["expected"]
    graph.prepare(f"{NUMBER_ID}/messages", recorded_answer(name))
    sent = recorded["request"]["json"]
    uploaded = sent.get(sent["type"], {}).get("id", "1") if isinstance(sent.get(sent["type"]), dict) else "1"
    graph.prepare(f"{NUMBER_ID}/media", Answer(200, {"id": uploaded}))
    result = await channel.send(part_of(name, recorded["request"]["json"]), graph.account(), http)
    assert result.outcome == ("held" if name == "error_131047.json" else OUTCOMES[expected["outcome"]])
    assert result.external_id == expected.get("external_id")
    assert result.account_down == (expected["outcome"] == "channel_down")
    if "code" in expected:
        assert result.code == str(expected["code"])
    if result.outcome != "sent":
        assert result.reason
    request = graph.asked[-1]
    assert request.path == recorded["request"]["url"].removeprefix("https://graph.facebook.com")
    assert request.headers["Authorization"] == "Bearer EXAMPLE-ACCESS-TOKEN"
    assert request.body.pop("biz_opaque_callback_data") == MESSAGE_ID
    if name not in DEVIATIONS or name == "error_131047.json":
        assert request.body == with_defaults(recorded["request"]["json"])


def with_defaults(wanted: dict[str, Any]) -> dict[str, Any]:
    """The recorded request with what may be left out written out."""
    if wanted["type"] == "text":
        wanted["text"].setdefault("preview_url", False)
    return wanted


@pytest.mark.parametrize(("name", "kind"), [("mark_read.json", "read"), ("typing.json", "typing")])
async def test_signals(graph: GraphDouble, http: aiohttp.ClientSession, name: str, kind: str) -> None:
    graph.prepare(f"{NUMBER_ID}/messages", recorded_answer(name))
    signal = Signal(kind=kind, channel_config_id="c", recipient="12025550123", external_id=SHOWN)
    await channel.signal(signal, graph.account(), http)
    assert [asked.body for asked in graph.asked] == [exchange(name)["request"]["json"]]


def test_template_as_recorded_when_its_definition_is_known() -> None:
    wanted = exchange("template.json")["request"]["json"]["template"]
    shape = Shape(header="image", buttons=(("quick_reply", False),))
    assert filled(PARTS["template.json"]["template"], shape) == wanted
