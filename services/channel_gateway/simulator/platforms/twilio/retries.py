"""When Twilio repeats a webhook: once after a failed connection, or as the URL's fragment asks for.

After "Webhooks (HTTP callbacks): Connection Overrides": `#rc=<0 to 5>&rp=<4xx,5xx,ct,rt,all>`.
"""

from urllib.parse import parse_qs, urldefrag

_MOST = 5
_DEFAULT = (1, frozenset({"ct"}))


def done(url: str, attempts: int, status: int | None, reason: str) -> bool:
    """Whether Twilio is through with a webhook.

    Args:
        url: where it is posted, with its fragment.
        attempts: how often it had been tried before this attempt.
        status: of the answer; None without one.
        reason: why there is no answer.
    """
    failure = _failure(status, reason)
    if failure is None:
        return True
    count, policies = _overrides(url)
    return attempts >= count or not ({"all", failure} & policies)


def _failure(status: int | None, reason: str) -> str | None:
    if status is None:
        return "rt" if "Timeout" in reason and "Connect" not in reason else "ct"
    if 200 <= status < 400:
        return None
    return "4xx" if status < 500 else "5xx"


def _overrides(url: str) -> tuple[int, frozenset[str]]:
    fields = parse_qs(urldefrag(url)[1])
    if not fields:
        return _DEFAULT
    count = fields.get("rc", ["1"])[0]
    policies = frozenset(fields.get("rp", ["ct"])[0].split(","))
    return min(int(count), _MOST) if count.isdecimal() else 1, policies
