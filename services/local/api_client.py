"""A small client of Parley's own public API."""

from typing import Any

import httpx


class APIRefused(Exception):
    """The API did not do what was asked; the message is the API's."""


class APIClient:
    """Calls the API as one user. Use it as an async context manager."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, timeout=30)

    async def __aenter__(self) -> "APIClient":
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def log_in(self, email: str, password: str) -> bool:
        """Log in; the calls that follow are this user's. False if the API does not know this e-mail and password."""
        answer = await self._send("POST", "/v1/auth/token", data={"username": email, "password": password})
        if answer.status_code in {400, 401}:
            return False
        self._http.headers["Authorization"] = f"Bearer {_body(answer)['access_token']}"
        return True

    async def get(self, path: str, **params: str) -> Any:
        """The JSON of a GET."""
        return _body(await self._send("GET", path, params=params))

    async def post(self, path: str, body: Any = None, *, files: Any = None) -> Any:
        """The JSON answer to a POST of JSON or of files."""
        return _body(await self._send("POST", path, json=body, files=files))

    async def put(self, path: str, body: Any) -> Any:
        """The JSON answer to a PUT."""
        return _body(await self._send("PUT", path, json=body))

    async def patch(self, path: str, body: Any) -> Any:
        """The JSON answer to a PATCH."""
        return _body(await self._send("PATCH", path, json=body))

    async def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise APIRefused(f"{method} {path}: {error or type(error).__name__}") from error


def _body(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json()
    try:
        reason = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        reason = answer.text[:200]
    raise APIRefused(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {reason}")
