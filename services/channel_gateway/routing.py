"""Whose is it: each item of a webhook goes to its own account, or into the ledger as ignored, and becomes an event."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from packages.core.domain.channels import Channel as Account
from packages.core.domain.messages import InboundEvent
from services.channel_gateway.channels import Item, WebhookRequest
from services.channel_gateway.directory import Directory

MAX_ID = 600
MAX_PERSON_ID = 300
_KEPT_BODY = 4000


class Router:
    """Routes the items of one request; what it found out about an account holds for the whole batch.

    Args:
        called: the account whose URL was called.
        authentic_for: whether the request is also signed with another account's secret.
    """

    def __init__(self, directory: Directory, called: Account, authentic_for: Callable[[Account], bool]) -> None:
        self._directory = directory
        self._called = called
        self._authentic_for = authentic_for
        self._found: dict[str, Account | str] = {}

    async def route(self, item: Item) -> tuple[Item, Account]:
        """The item and its account. An item of nobody's comes back as ignored, under the account that was called."""
        account_id = item.account_id
        if account_id is None or account_id == self._called.account_id:
            return item, self._called
        if account_id not in self._found:
            self._found[account_id] = await self._other(account_id)
        found = self._found[account_id]
        if isinstance(found, str):
            return _foreign(item, found), self._called
        return item, found

    async def _other(self, account_id: str) -> Account | str:
        other = await self._directory.find_account(self._called.kind, account_id)
        if other is None:
            return f"unknown account {account_id[:100]!r}"
        if not self._authentic_for(other):
            return f"account {account_id[:100]!r} belongs to another app"
        return other


def _foreign(item: Item, reason: str) -> Item:
    """The refused item; under an id of its own, so that it cannot pass for a repeat of what the account really gets."""
    external_id = f"foreign:{item.account_id}:{item.external_id}"
    return replace(item, external_id=external_id, kind="foreign", message=None, status=None, ignored=reason)


def event(item: Item, account: Account, received_at: datetime, traceparent: str) -> InboundEvent:
    """The stream entry of a routed item. Ids longer than the tables hold are hashed, or make the item ignored."""
    external_id, message, ignored = item.external_id, item.message, item.ignored
    if len(external_id) > MAX_ID:
        external_id = f"long:{hashlib.sha256(external_id.encode('utf-8', 'surrogatepass')).hexdigest()}"
    if message is not None:
        if len(message.sender.external_id) > MAX_PERSON_ID or len(message.conversation_id or "") > MAX_PERSON_ID:
            message, ignored = None, "malformed message: its sender's or conversation's id is too long"
        else:
            message = replace(message, channel_config_id=account.id, external_id=external_id)
    return InboundEvent(
        tenant_id=account.tenant_id,
        channel_config_id=account.id,
        external_id=external_id,
        kind=item.kind,
        message=message,
        status=item.status,
        ignored=ignored,
        raw=item.raw,
        received_at=received_at,
        traceparent=traceparent,
    )


def unreadable(request: WebhookRequest, reason: str) -> Item:
    """The ledger row of a body that is authentic but cannot be read; its id comes from the bytes."""
    return Item(
        account_id=None,
        external_id=f"malformed:{hashlib.sha256(request.body).hexdigest()[:32]}",
        kind="malformed",
        ignored=f"malformed body: {reason}"[:500],
        raw={"body": request.body[:_KEPT_BODY].decode("utf-8", "replace")},
    )
