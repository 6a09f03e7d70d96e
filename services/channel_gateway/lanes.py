"""One lane per account, so that a slow one holds up nobody else; tenants take turns.

A lane keeps ids only (PostgreSQL has the messages): what a lane has no room for comes again with the sweep. How many
of an account's sends are under way at once grows while its platform answers and shrinks when it does not.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

MOST_WAITING = 5_000
MOST_PER_ACCOUNT = 16
_FIRST_WIDTH = 8.0


@dataclass(slots=True)
class Lane:
    """An account's messages: those that wait here to be claimed, and how many are claimed."""

    account_id: str
    tenant_id: str
    waiting: "OrderedDict[UUID, str]" = field(default_factory=OrderedDict)
    claimed: int = 0
    width: float = _FIRST_WIDTH

    @property
    def room(self) -> int:
        """How many more may be claimed now."""
        return max(0, int(self.width) - self.claimed)

    def answered(self) -> None:
        """The platform answers: let it have more at once."""
        self.width = min(MOST_PER_ACCOUNT, self.width + 1)

    def silent(self) -> None:
        """The platform does not answer: one send at a time shows whether it does again."""
        self.width = max(1.0, self.width / 2)


class Lanes:
    """All lanes, and whose turn it is."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._tenants: dict[str, deque[str]] = {}
        self._turns: deque[str] = deque()

    def lane(self, account_id: str, tenant_id: str) -> Lane:
        """The lane of an account, made when first asked for."""
        lane = self._lanes.get(account_id)
        if lane is None:
            lane = self._lanes[account_id] = Lane(account_id, tenant_id)
            if tenant_id not in self._tenants:
                self._tenants[tenant_id] = deque()
                self._turns.append(tenant_id)
            self._tenants[tenant_id].append(account_id)
        return lane

    def put(self, account_id: str, tenant_id: str, message_id: UUID, *, first: bool = False) -> bool:
        """Have a message wait in its lane; False if the lane is full."""
        lane = self.lane(account_id, tenant_id)
        if len(lane.waiting) >= MOST_WAITING and not first:
            return False
        lane.waiting.setdefault(message_id, account_id)
        if first:
            lane.waiting.move_to_end(message_id, last=False)
        return True

    def pick(self, most: int) -> list[tuple[Lane, UUID]]:
        """Up to `most` messages to claim, in turns: one of each tenant, whichever of its accounts has room, and again.

        They count as claimed by that.
        """
        picked: list[tuple[Lane, UUID]] = []
        idle = 0
        while len(picked) < most and idle < len(self._turns):
            tenant_id = self._turns[0]
            self._turns.rotate(-1)
            lane = self._ready(tenant_id)
            if lane is None:
                idle += 1
                continue
            idle = 0
            message_id, _ = lane.waiting.popitem(last=False)
            lane.claimed += 1
            picked.append((lane, message_id))
        return picked

    def __iter__(self) -> Iterator[Lane]:
        """Every lane."""
        return iter(self._lanes.values())

    def _ready(self, tenant_id: str) -> Lane | None:
        accounts = self._tenants[tenant_id]
        for _ in range(len(accounts)):
            lane = self._lanes[accounts[0]]
            accounts.rotate(-1)
            if lane.waiting and lane.room:
                return lane
        return None
