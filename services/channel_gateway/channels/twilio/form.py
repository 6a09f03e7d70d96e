"""The parameters of a Twilio webhook, wherever they stand: form body, JSON body or query."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from services.channel_gateway.channels import Unreadable, WebhookRequest

Pairs = list[tuple[str, str]]


def is_json(request: WebhookRequest) -> bool:
    """Whether the body says of itself that it is JSON."""
    return "json" in request.headers.get("content-type", "").lower()


def pairs(body: bytes) -> Pairs:
    """Names and values of a form body, in its order; what is no UTF-8 becomes replacement characters."""
    return parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace")


def parameters(request: WebhookRequest) -> list[dict[str, Any]]:
    """The parameters of each event; forms and queries hold one event, a JSON body may hold several.

    Raises:
        Unreadable: the body is neither a form nor a JSON object or array of objects.
    """
    if request.method == "GET":
        return [dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))]
    if not is_json(request):
        return [dict(pairs(request.body))]
    try:
        document = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"The webhook's body is not JSON: {error}") from error
    events = document if isinstance(document, list) else [document]
    if not events or not all(isinstance(event, dict) for event in events):
        raise Unreadable("The webhook's body is not a JSON object.")
    return events
