"""What Meta's channels share: the signature, the handshake, and which channel a webhook's `object` belongs to.

Protocol: Meta's "Webhooks from Meta" documentation; `X-Hub-Signature-256` is HMAC-SHA256 over the raw body, keyed with
the app's secret.
"""

from collections.abc import Mapping

import msgspec

from packages.core.crypto import hmac_sha256, same

CHANNELS = {"whatsapp_business_account": "whatsapp", "instagram": "instagram"}
"""Webhook `object` to channel."""


class _Envelope(msgspec.Struct):
    object: str | None = None


_envelope = msgspec.json.Decoder(_Envelope)


def signed(body: bytes, header: str | None, secret: str) -> bool:
    """Whether `header` is the signature of `body` under `secret`. An empty secret signs nothing."""
    if not header or not secret:
        return False
    return same(header, "sha256=" + hmac_sha256(secret.encode(), body))


def challenge(query: Mapping[str, str], token: str) -> str | None:
    """The answer to the handshake, or None when mode or token is wrong. An empty token accepts nobody."""
    if query.get("hub.mode") != "subscribe" or not token or not same(query.get("hub.verify_token", ""), token):
        return None
    return query.get("hub.challenge")


def channel_of(body: bytes) -> str | None:
    """The channel a Meta webhook belongs to; None if it is of no known kind.

    Raises:
        msgspec.DecodeError: not JSON.
    """
    return CHANNELS.get(_envelope.decode(body).object or "")
