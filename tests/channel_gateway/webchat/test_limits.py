"""Token buckets."""

import pytest

from packages.core.errors import RateLimited
from services.channel_gateway.webchat import limits
from services.channel_gateway.webchat.limits import Limiter


def test_a_burst_then_one_at_a_time() -> None:
    now = 100.0
    limiter = Limiter(per_minute=30, burst=3, clock=lambda: now)
    for _ in range(3):
        limiter.take("a")
    with pytest.raises(RateLimited) as refusal:
        limiter.take("a")
    assert refusal.value.retry_after == pytest.approx(2.0)
    now += 2.0
    limiter.take("a")
    with pytest.raises(RateLimited):
        limiter.take("a")


def test_keys_do_not_share() -> None:
    limiter = Limiter(per_minute=1, burst=1)
    limiter.take("a")
    limiter.take("b")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_KEYS", 10)
    limiter = Limiter(per_minute=1, burst=1)
    for number in range(50):
        limiter.take(str(number))
    with pytest.raises(RateLimited):
        limiter.take("49")
    limiter.take("1")  # forgotten, so as new
