"""Instagram as a channel like every other."""

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.channel_gateway.channels import WebhookRequest
from services.channel_gateway.channels.instagram import channel
from tests.channel_gateway.conftest import signature
from tests.contracts.channel import ChannelContract, check_item

PAYLOADS = sorted((Path(__file__).parent / "payloads").glob("*.json"))
BODIES = [json.loads(path.read_bytes()) for path in PAYLOADS]
SIBLING = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "timestamp": 1, "message": {"mid": "m-last", "text": "x"}}
CREDENTIALS = {
    "account_id": "17841400000000001",
    "access_token": "EXAMPLE-ACCESS-TOKEN",
    "app_secret": "the-brands-own-app-secret",
    "verify_token": "the-brands-token",
}

_VALUES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just({}) | st.just([]) | st.just([{}])
)


class TestInstagram(ChannelContract):
    channel = channel
    kind = "instagram"
    credentials = CREDENTIALS
    secrets = ("access_token", "app_secret", "verify_token")

    def signed(self, body: bytes) -> WebhookRequest:
        headers = {"x-hub-signature-256": signature(body, CREDENTIALS["app_secret"])}
        return WebhookRequest(method="POST", url="https://x.example/", headers=headers, query={}, body=body)

    def body(self) -> bytes:
        return (Path(__file__).parent / "payloads" / "batch_two_accounts.json").read_bytes()

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(body=st.sampled_from(BODIES), seed=st.randoms(use_true_random=False), value=_VALUES)
    def test_mutated_payload_never_costs_a_sibling(self, body: dict[str, Any], seed: Any, value: Any) -> None:
        """Whatever stands in any place of one entry, the next entry's message is there."""
        broken = json.loads(json.dumps(body))
        holders = [(node, key) for node in _nodes(broken["entry"][0]) for key in _keys(node)]
        node, key = seed.choice(holders)
        if isinstance(node, dict) and seed.random() < 0.3:
            del node[key]
        else:
            node[key] = value
        whole = {"object": "instagram", "entry": [*broken["entry"], {"id": "2", "messaging": [SIBLING]}]}
        items = channel.parse(self.signed(json.dumps(whole).encode()))
        for item in items:
            check_item(item)
        assert items[-1].external_id == "m-last"


def _nodes(document: Any) -> list[Any]:
    children = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    own = [document] if isinstance(document, dict | list) and document else []
    return own + [node for child in children for node in _nodes(child)]


def _keys(node: Any) -> list[Any]:
    return list(node) if isinstance(node, dict) else list(range(len(node)))
