"""The errors a caller can meet, one class each. `packages.core.http` renders them; nothing else does.

AppError
├── InvalidInput          422  the request is malformed
├── Unauthenticated       401  no identity, or a false one
├── Forbidden             403  known, but not allowed
├── NotFound              404  absent, or another tenant's
├── Conflict              409  clashes with what exists
├── TooLarge              413  over a stated limit
├── UnsupportedFormat     415  no parser or channel takes it
├── RateLimited           429  too many; `retry_after` says when
└── Unavailable           503  a dependency is away; try again
"""

from typing import Any, ClassVar


class AppError(Exception):
    """An expected refusal. `message` is for people and says what to do next."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers that belong to the refusal."""
        return {}


class InvalidInput(AppError):
    """The request is malformed."""

    code = "invalid_input"
    status = 422


class Unauthenticated(AppError):
    """No identity, or one that does not hold."""

    code = "unauthenticated"
    status = 401

    @property
    def headers(self) -> dict[str, str]:
        """RFC 6750 asks for the scheme."""
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(AppError):
    """The caller is known but lacks the role or scope."""

    code = "forbidden"
    status = 403


class NotFound(AppError):
    """The thing does not exist for this caller; another tenant's thing looks the same."""

    code = "not_found"
    status = 404


class Conflict(AppError):
    """The request clashes with the present state."""

    code = "conflict"
    status = 409


class TooLarge(AppError):
    """The body or file is over a stated limit."""

    code = "too_large"
    status = 413


class UnsupportedFormat(AppError):
    """Nothing installed can read this."""

    code = "unsupported_format"
    status = 415


class RateLimited(AppError):
    """Too many requests; `retry_after` is in seconds."""

    code = "rate_limited"
    status = 429

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After` in whole seconds, at least one."""
        return {"Retry-After": str(max(1, round(self.retry_after)))}


class Unavailable(AppError):
    """A dependency is away; the same request may succeed later."""

    code = "unavailable"
    status = 503

    @property
    def headers(self) -> dict[str, str]:
        """Ask the caller to come back soon."""
        return {"Retry-After": "2"}
