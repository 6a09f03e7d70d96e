"""The suite that every channel inherits: whatever its platform, these hold.

A channel's own test class derives from `ChannelContract` and names its channel, an account and a signed request.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import OutboundResponse
from services.channel_gateway.channels import Channel, Forged, Item, Part, Unreadable, WebhookRequest
from services.local.engines import free_port

MESSAGE_ID = "01890000-0000-7000-8000-00000000000a"

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)

# Each channel's class runs the inherited test by itself, which is all that this health check sees.
_EXAMPLES = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.differing_executors])


def account(channel: Channel, kind: str, credentials: dict[str, Any], **settings: Any) -> Account:
    """An account as the directory serves it."""
    opened = channel.Credentials.model_validate(credentials)
    return Account(
        id="01890000-0000-7000-8000-000000000001",
        tenant_id="01890000-0000-7000-8000-000000000002",
        brand_id="01890000-0000-7000-8000-000000000003",
        kind=kind,
        name="Test",
        account_id=channel.account_id(opened),
        credentials=opened,
        settings=settings,
    )


def outbound(text: str = "Your order has left.", recipient: str = "12025550123", **more: Any) -> OutboundResponse:
    """A message to send, before it is put into parts."""
    fields: dict[str, Any] = {
        "message_id": MESSAGE_ID,
        "tenant_id": "01890000-0000-7000-8000-000000000002",
        "brand_id": "01890000-0000-7000-8000-000000000003",
        "conversation_id": "01890000-0000-7000-8000-00000000000b",
        "channel_config_id": "01890000-0000-7000-8000-000000000001",
        "recipient": recipient,
        "author": "bot",
        "text": text,
    }
    return OutboundResponse(**(fields | more))


def part(text: str = "Your order has left.", recipient: str = "12025550123", **more: Any) -> Part:
    """What an adapter is given to send."""
    fields: dict[str, Any] = {
        "correlation_id": MESSAGE_ID,
        "message_id": MESSAGE_ID,
        "conversation_id": "01890000-0000-7000-8000-00000000000b",
        "recipient": recipient,
        "author": "bot",
        "text": text,
        "plain": text,
    }
    return Part(**(fields | more))


class ChannelContract(ABC):
    """What holds for every channel."""

    channel: ClassVar[Channel]
    kind: ClassVar[str]
    credentials: ClassVar[dict[str, Any]]
    secrets: ClassVar[tuple[str, ...]] = ()
    has_webhook: ClassVar[bool] = True

    @abstractmethod
    def signed(self, body: bytes) -> WebhookRequest:
        """A request as the platform would make it for the account of `credentials`."""

    @abstractmethod
    def body(self) -> bytes:
        """The body of an ordinary webhook."""

    @property
    def account(self) -> Account:
        return account(self.channel, self.kind, self.credentials)

    def test_is_a_channel(self) -> None:
        assert isinstance(self.channel, Channel)
        assert issubclass(self.channel.Credentials, BaseModel)
        assert self.channel.capabilities.text_limit > 0

    def test_every_credential_is_in_the_schema_and_secrets_are_write_only(self) -> None:
        properties = self.channel.Credentials.model_json_schema()["properties"]
        assert set(self.credentials) <= set(properties)
        for name in self.secrets:
            assert properties[name]["writeOnly"] is True

    def test_secrets_do_not_show(self) -> None:
        shown = repr(self.account) + repr(self.account.credentials) + str(self.account.credentials)
        for name in self.secrets:
            assert self.credentials[name] not in shown

    def test_credentials_of_the_wrong_kind(self) -> None:
        with pytest.raises(ValidationError):
            self.channel.Credentials.model_validate(dict.fromkeys(self.credentials, object()))

    def test_signed_request_passes(self) -> None:
        if not self.has_webhook:
            pytest.skip("the channel has no webhook")
        self.channel.verify(self.signed(self.body()), self.account)

    def test_unsigned_request_is_forged(self) -> None:
        request = replace(self.signed(self.body()), headers={})
        with pytest.raises(Forged):
            self.channel.verify(request, self.account)

    def test_headers_in_any_alphabet_are_forged(self) -> None:
        request = self.signed(self.body())
        with pytest.raises(Forged):
            self.channel.verify(replace(request, headers=dict.fromkeys(request.headers, "é✓\udcff")), self.account)

    def test_other_accounts_secret_is_forged(self) -> None:
        if not self.secrets:
            pytest.skip("the channel has no secret")
        others = self.credentials | {name: f"other-{self.credentials[name]}" for name in self.secrets}
        with pytest.raises(Forged):
            self.channel.verify(self.signed(self.body()), account(self.channel, self.kind, others))

    def test_items_are_well_formed(self) -> None:
        for item in self.channel.parse(self.signed(self.body())):
            check_item(item)

    @_EXAMPLES
    @given(document=_JSON)
    def test_any_json_is_read_or_refused(self, document: Any) -> None:
        self._parse(json.dumps(document).encode())

    @_EXAMPLES
    @given(body=st.binary(max_size=60))
    def test_any_bytes_are_read_or_refused(self, body: bytes) -> None:
        self._parse(body)

    @_EXAMPLES
    @given(seed=st.randoms(use_true_random=False), value=_JSON)
    def test_any_value_in_any_place_is_read_or_refused(self, seed: Any, value: Any) -> None:
        try:
            document = json.loads(self.body())
        except ValueError:
            return
        holders = [(node, key) for node in _nodes(document) for key in _keys(node)]
        if holders:
            node, key = seed.choice(holders)
            node[key] = value
        self._parse(json.dumps(document).encode())

    def _parse(self, body: bytes) -> None:
        try:
            items = self.channel.parse(self.signed(body))
        except Unreadable:
            return
        for item in items:
            check_item(item)

    async def test_sending_never_raises_for_the_network(self) -> None:
        dead = account(self.channel, self.kind, self.credentials, api_base=f"http://127.0.0.1:{free_port()}")
        async with aiohttp.ClientSession() as http, asyncio.timeout(10):
            result = await self.channel.send(part(), dead, http)
        expected = "sent" if self.channel.capabilities.idempotent_send else "retry"
        assert result.outcome == expected


def check_item(item: Item) -> None:
    """Exactly one of message, status and ignored; ids that the tables can hold."""
    assert item.external_id
    assert len(item.kind) <= 32
    assert sum(part is not None for part in (item.message, item.status, item.ignored)) == 1
    assert isinstance(item.raw, dict)
    if item.message:
        assert item.message.external_id == item.external_id
        assert item.message.channel_config_id == ""
        assert item.message.sender.external_id


def _nodes(document: Any) -> list[Any]:
    children = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    own = [document] if isinstance(document, dict | list) else []
    return own + [node for child in children for node in _nodes(child)]


def _keys(node: Any) -> list[Any]:
    return list(node) if isinstance(node, dict) else list(range(len(node)))
