"""Secrets: encryption at rest, token hashes, signatures."""

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class UndecryptableSecret(Exception):
    """Stored under another PARLEY_SECRET_KEY, or damaged."""


class SecretBox:
    """Encrypts tenant secrets with a key derived from PARLEY_SECRET_KEY (HKDF-SHA256, then Fernet)."""

    def __init__(self, secret_key: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(derive_key(secret_key, "credentials")))

    def seal(self, value: dict[str, Any]) -> bytes:
        """Encrypt a JSON object."""
        return self._fernet.encrypt(json.dumps(value).encode())

    def open(self, sealed: bytes) -> dict[str, Any]:
        """Decrypt what `seal` made.

        Raises:
            UndecryptableSecret: the key has changed, or the bytes are damaged.
        """
        try:
            opened: dict[str, Any] = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as error:
            raise UndecryptableSecret(
                "Stored credentials cannot be decrypted; was PARLEY_SECRET_KEY changed?"
            ) from error
        return opened


def derive_key(secret_key: str, purpose: str, length: int = 32) -> bytes:
    """A key of its own for each purpose, so that one leaking does not open the others."""
    return HKDF(hashes.SHA256(), length, salt=None, info=f"parley:{purpose}".encode()).derive(secret_key.encode())


def new_token(prefix: str) -> str:
    """A random bearer token of 256 bits, such as `pk_…`; its prefix tells people what leaked."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> str:
    """What is stored of a random token. Plain SHA-256 suffices, because the token itself has 256 bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def hmac_sha256(key: bytes, message: bytes) -> str:
    """Lower-case hexadecimal HMAC-SHA256."""
    return hmac.digest(key, message, "sha256").hex()


def same(left: str, right: str) -> bool:
    """Compare in constant time; text that is not ASCII compares unequal instead of raising."""
    return hmac.compare_digest(left.encode("utf-8", "surrogateescape"), right.encode("utf-8", "surrogateescape"))
