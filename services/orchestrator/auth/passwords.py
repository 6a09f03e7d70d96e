"""Password hashes: Argon2id with OWASP's parameters (19 MiB, 2 passes), computed off the event loop."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_at_once = asyncio.Semaphore(4)
_NOBODY = _hasher.hash("a password that nobody has")
"""Verified when the user is unknown, so that the time taken does not tell whether an account exists."""


async def hashed(password: str) -> str:
    """The Argon2id hash of a password."""
    async with _at_once:
        return await asyncio.to_thread(_hasher.hash, password)


async def matches(password: str, password_hash: str | None) -> bool:
    """Whether the password is right; takes as long where there is no hash to compare with."""
    async with _at_once:
        right = await asyncio.to_thread(_verify, password, password_hash or _NOBODY)
    return right and password_hash is not None


def _verify(password: str, password_hash: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
