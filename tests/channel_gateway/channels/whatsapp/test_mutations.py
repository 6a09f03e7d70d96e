"""Recorded payloads with anything in any place: never an exception, never a lost sibling."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.channel_gateway.channels import Item
from services.channel_gateway.channels.whatsapp.inbound import parse
from tests.contracts.channel import check_item

PAYLOADS = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "payloads").glob("*.json"))]
SIBLING = {"from": "12025550199", "id": "wamid.sibling", "type": "text", "text": {"body": "still here"}}
METADATA = {"display_phone_number": "12025550100", "phone_number_id": "200000000000201"}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def places(document: Any) -> list[tuple[Any, Any]]:
    """Every container with every key or position in it."""
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    inner = [document[key] for key in keys if isinstance(document[key], dict | list)]
    return [(document, key) for key in keys] + [place for child in inner for place in places(child)]


@settings(max_examples=400, deadline=None)
@given(document=st.sampled_from(PAYLOADS), data=st.data())
def test_mutated_payload(document: dict[str, Any], data: st.DataObject) -> None:
    """Each change of a payload is mutated; a message in a change of its own before and after it always arrives."""
    mutated = json.loads(json.dumps(document))
    entries = mutated["entry"]
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(places(entries)))
        if data.draw(st.booleans()):
            holder[key] = data.draw(ANYTHING)
        elif isinstance(holder, dict):
            del holder[key]
        if not entries or not places(entries):
            break
    items = parsed({"object": mutated.get("object"), "entry": [sibling("before"), *entries, sibling("after")]})
    arrived = [item.external_id for item in items if item.message]
    assert arrived[:1] == ["wamid.sibling.before"]
    assert arrived[-1:] == ["wamid.sibling.after"]


@settings(max_examples=200, deadline=None)
@given(broken=ANYTHING)
def test_anything_among_messages_and_statuses(broken: Any) -> None:
    status = {"id": "wamid.out", "status": "read"}
    value = {"metadata": METADATA, "messages": [broken, SIBLING, broken], "statuses": [broken, status]}
    items = parsed({"entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]})
    assert len(items) == 5
    assert "wamid.sibling" in [item.external_id for item in items if item.message]
    assert [item.external_id for item in items if item.status] == ["wamid.out:read"]


def sibling(name: str) -> dict[str, Any]:
    value = {"metadata": METADATA, "messages": [{**SIBLING, "id": f"wamid.sibling.{name}"}]}
    return {"id": "100000000000101", "changes": [{"field": "messages", "value": value}]}


def parsed(document: dict[str, Any]) -> list[Item]:
    items = parse(json.dumps(document).encode())
    for item in items:
        check_item(item)
    return items
