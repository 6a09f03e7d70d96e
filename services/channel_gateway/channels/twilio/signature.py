"""Twilio's webhook signatures: base64 of an HMAC over the URL and the form's fields.

After Twilio's "Webhooks security" page and `twilio.request_validator`, which compares in variable time, takes a form as
a mapping, and leaves it to its caller whether a signing key is demanded.
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from packages.core.crypto import same
from services.channel_gateway.channels import WebhookRequest
from services.channel_gateway.channels.twilio.form import Pairs, is_json, pairs

SIGNATURE = "x-twilio-signature"
SETTINGS = "x-twilio-webhooks-signature-settings"
OVERRIDES = "#rc=5&rp=all"
"""Fragment of the webhook's URL that has Twilio repeat what was not acknowledged (up to 5 times, for any failure)
instead of losing it. Whether fragments are signed is not documented, so both spellings pass."""

_DEFAULT_PORTS = {"https": 443, "http": 80}


def signed(request: WebhookRequest, url: str, auth_token: SecretStr, key_id: str, key_secret: SecretStr) -> bool:
    """Whether the account signed the request, whose public address is `url`.

    A channel with a signing key takes that key's HMAC-SHA256 alone, any other the account token's HMAC-SHA1. The header
    that names a key is not authenticated, so it never chooses between the two.
    """
    given = request.headers.get(SIGNATURE, "")
    announced = _announced(request.headers.get(SETTINGS))
    if key_id:
        secret, algorithm = key_secret.get_secret_value(), "sha256"
        expected = {"key": key_id, "algorithm": "HMAC_SHA256"}
    else:
        secret, algorithm = auth_token.get_secret_value(), "sha1"
        expected = {}
    if not secret or not given or announced != expected:
        return False
    if is_json(request):
        fields = ""
        if not _body_is_hashed(request):
            return False
    else:
        if request.method == "GET" and request.body:
            return False
        fields = _joined(pairs(request.body)) if request.body else ""
    key, suffix = secret.encode(), fields.encode("utf-8", "surrogatepass")
    found = False
    for candidate in _spellings(url):
        digest = hmac.digest(key, candidate.encode("utf-8", "surrogatepass") + suffix, algorithm)
        found |= same(b64encode(digest).decode(), given)
    return found


def _announced(header: str | None) -> dict[str, str]:
    """`key=…,algorithm=…`; empty where there is no header."""
    if header is None:
        return {}
    return {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in header.split(","))}


def _body_is_hashed(request: WebhookRequest) -> bool:
    """A JSON body is covered by `bodySHA256` in the signed URL, or by nothing."""
    claimed = request.query.get("bodySHA256", "")
    return bool(claimed) and same(hashlib.sha256(request.body).hexdigest(), claimed.lower())


def _joined(form: Pairs) -> str:
    """Names and values, sorted by name, then value; the same pair counts once."""
    return "".join(f"{name}{value}" for name, value in sorted(set(form)))


def _spellings(url: str) -> Iterator[str]:
    """The URL without and with its port, without and with our fragment: Twilio is not consistent in what it signs."""
    for spelling in (url, _other_port(url)):
        yield spelling
        yield spelling + OVERRIDES


def _other_port(url: str) -> str:
    """The URL with the scheme's default port where it has none, without a port where it has one."""
    parts = urlsplit(url)
    host, colon, port = parts.netloc.rpartition(":")
    if colon and port.isdecimal():
        return urlunsplit(parts._replace(netloc=host))
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{_DEFAULT_PORTS.get(parts.scheme, 80)}"))
