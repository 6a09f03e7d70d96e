"""Who has written to whom, and when: what decides whether the brand may write."""

import time
from collections import defaultdict, deque
from datetime import datetime

from packages.core.domain.channels import Channel
from services.channel_gateway.simulator.platforms.instagram.errors import NO_SUCH_PERSON, InstagramError
from services.channel_gateway.simulator.records import Records

WINDOW_SECONDS = 24 * 3600.0
AGENT_WINDOW_SECONDS = 7 * 24 * 3600.0
SENDS_PER_SECOND = 300
HEAVY_SENDS_PER_SECOND = 10
_MOST_REMEMBERED = 200_000


class People:
    """The persons of every account: in memory, and after a restart from what the records say that they wrote."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._heard: dict[tuple[str, str], float] = {}
        self._commented: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def heard(self, account: Channel, person: str, at_ms: object, name: str | None) -> None:
        """A person wrote; `at_ms` is when (milliseconds), `name` what their profile shows."""
        self._names[person] = name or self._names.get(person) or f"Customer {person[-4:]}"
        at = at_ms / 1000 if isinstance(at_ms, int) else time.time()
        key = (account.id, person)
        self._heard[key] = max(at, self._heard.pop(key, 0.0))
        if len(self._heard) > _MOST_REMEMBERED:
            oldest = next(iter(self._heard))
            del self._heard[oldest]
            self._names.pop(oldest[1], None)

    def name(self, person: str) -> str | None:
        """What a person's profile shows; None for nobody who has written since the start."""
        return self._names.get(person)

    def commented(self, comment_id: str, person: str) -> None:
        """A person wrote a comment, to which one private reply may go."""
        self._commented[comment_id] = person
        if len(self._commented) > _MOST_REMEMBERED:
            del self._commented[next(iter(self._commented))]

    def author(self, comment_id: str) -> str:
        """Who wrote a comment.

        Raises:
            InstagramError: nobody.
        """
        if comment_id not in self._commented:
            raise InstagramError(100, message="No matching user found", subcode=NO_SUCH_PERSON)
        return self._commented[comment_id]

    async def last_heard(self, account: Channel, person: str) -> float:
        """When a person last wrote, in Unix seconds.

        Raises:
            InstagramError: the account knows no such person.
        """
        known = self._heard.get((account.id, person))
        if known is not None:
            return known
        written = await self._records.written(account.id, person, 1)
        if not written:
            raise InstagramError(100, message="No matching user found", subcode=NO_SUCH_PERSON)
        return datetime.fromisoformat(str(written[-1]["at"])).timestamp()

    async def check_window(self, account: Channel, person: str, *, tagged: bool) -> None:
        """Raises InstagramError unless the brand may write to the person now; `tagged` is an agent's own answer.

        An account with the setting `enforce_window: false` may write to anybody at any time.
        """
        if account.settings.get("enforce_window") is False:
            return
        age = time.time() - await self.last_heard(account, person)
        if age > (AGENT_WINDOW_SECONDS if tagged else WINDOW_SECONDS):
            raise InstagramError(10)


class Pace:
    """How many messages each account has sent within the last second."""

    def __init__(self) -> None:
        self._sends: defaultdict[tuple[str, bool], deque[float]] = defaultdict(deque)

    def check(self, account: Channel, *, heavy: bool) -> None:
        """Raises InstagramError where a send is one too many; `heavy` ones are audio and video."""
        now, sends = time.monotonic(), self._sends[account.id, heavy]
        while sends and now - sends[0] > 1:
            sends.popleft()
        if len(sends) >= (HEAVY_SENDS_PER_SECOND if heavy else SENDS_PER_SECOND):
            raise InstagramError(613)
        sends.append(now)
