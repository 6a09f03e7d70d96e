"""The load must be what the gateway takes for real."""

import json

from bench import payloads
from services.channel_gateway import meta


def test_the_gateway_accepts_the_signature() -> None:
    body = payloads.whatsapp("wamid.1", phone_number_id="1", user="4477", text="hello")
    assert meta.signed(body, payloads.signature(body), payloads.APP_SECRET)


def test_bodies_have_the_size_asked_for() -> None:
    assert len(payloads.sized("wamid.1", phone_number_id="1", user="4477", size=1024)) == 1024


def test_no_message_id_comes_twice() -> None:
    found = [
        json.loads(request.partition(b"\r\n\r\n")[2])["entry"][0]["changes"][0]["value"]["messages"][0]["id"]
        for tag in ("a", "b")
        for request in payloads.requests(50, tag, phone_number_id="1", path="/x", port=80)
    ]
    assert len(set(found)) == 100


def test_a_batch_holds_as_many_messages_each_in_an_entry_of_its_own() -> None:
    body = json.loads(payloads.batch(3, "tag", phone_number_id="77"))
    values = [change["value"] for entry in body["entry"] for change in entry["changes"]]
    ids = [message["id"] for value in values for message in value["messages"]]
    assert len(body["entry"]) == len(set(ids)) == 3
    assert {value["metadata"]["phone_number_id"] for value in values} == {"77"}
