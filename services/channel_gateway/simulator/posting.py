"""One HTTP POST from a platform to the gateway, whatever comes of it."""

import aiohttp

_SHOWN_BYTES = 2000


async def post(
    http: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str], timeout: float  # noqa: ASYNC109
) -> tuple[int | None, str]:
    """Post a body.

    Returns:
        The status and the first part of the answer; None and the reason where none came.
    """
    limit = aiohttp.ClientTimeout(total=timeout)
    try:
        async with http.post(url, data=body, headers=headers, timeout=limit, allow_redirects=False) as response:
            answer = await response.content.read(_SHOWN_BYTES)
            return response.status, answer.decode("utf-8", "replace")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return None, f"{type(error).__name__}: {error}"
