"""What the simulators of Meta's platforms share: how an app's webhooks are addressed, signed, batched and repeated.

Protocol: Meta's "Webhooks from Meta" documentation. Only status 200 counts as received.
"""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, ClassVar

from starlette.requests import Request

from packages.core.crypto import hmac_sha256
from packages.core.domain.channels import Channel
from packages.core.errors import InvalidInput, NotFound, Unavailable
from services.channel_gateway.simulator.chance import DICE, hit
from services.channel_gateway.simulator.courier import Receipt
from services.channel_gateway.simulator.faults import Faults
from services.channel_gateway.simulator.platforms import CustomerMessage, Line, Platform, Stage
from services.channel_gateway.simulator.posting import post
from services.channel_gateway.simulator.records import Errand

LATE_BY = 1.5
Entry = dict[str, Any]


class MetaPlatform(Platform):
    """A platform whose webhooks come from a Meta app: the brand's own, or the operator's that serves many."""

    object: ClassVar[str]
    """What the envelope of its webhooks says it is about."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._modes: dict[str, str] = {}

    @property
    def _mode_note(self) -> str:
        return f"{self.kind}:mode:"

    async def start(self) -> None:
        """Remember through which URL each account's webhooks go."""
        notes = await self.stage.records.notes(self._mode_note)
        self._modes = {name.removeprefix(self._mode_note): mode for name, mode in notes.items()}

    async def carry(self, errands: list[Errand]) -> Receipt:
        """Post one webhook; only status 200 counts as received."""
        first = errands[0]
        try:
            account = await self.stage.accounts.get(self.kind, first.channel_config_id)
            secret = self._secret(account, first.data["mode"])
        except NotFound as error:
            return Receipt(True, None, error.message)
        except (Unavailable, InvalidInput) as error:
            return Receipt(False, None, error.message)
        forged = bool(first.data["forged"])
        body = envelope(self.object, (entry for errand in errands for entry in errand.data["entries"]))
        headers = signed_headers(body, secrets.token_hex(16) if forged else secret) | first.data["headers"]
        timeout = self.stage.settings.simulator_webhook_timeout
        status, answer = await post(self.stage.http, self._url(account, first.data["mode"]), body, headers, timeout)
        return Receipt(forged or status == 200, status, answer)

    async def written_errands(
        self, account: Channel, message: CustomerMessage, entries: Sequence[Entry]
    ) -> list[Errand]:
        """The errands of what customers wrote: one webhook, as often and as late as was asked for."""
        data = {
            "entries": list(entries),
            "mode": await self.mode(account, message.mode),
            "forged": message.forged,
            "headers": message.headers,
        }
        held_back = DICE.uniform(0, LATE_BY) if message.reorder and len(message.lines) == 1 else 0.0
        due = time.time() + message.delay_ms / 1000 + held_back
        return [self._errand(account, data, due) for _ in range(message.duplicates + 1)]

    async def news_errand(self, account: Channel, entry: Entry, due: float) -> Errand:
        """An errand that the platform makes by itself; it may share its webhook with others of the same app."""
        mode = await self.mode(account, None)
        app = str(account.credentials.get("app_secret", "")) if mode == "channel" else mode
        batch = hashlib.sha256(f"{self.kind}:{app}".encode()).hexdigest()[:16]
        data = {"entries": [entry], "mode": mode, "forged": False, "headers": {}}
        return self._errand(account, data, due, batch)

    def schedule(self, statuses: Sequence[str], faults: Faults) -> list[tuple[str, float]]:
        """When each piece of news is reported, in Unix seconds; some twice, some late."""
        delay = faults.status_delay_ms
        if delay is None:
            delay = self.stage.settings.simulator_status_delay_ms
        moment, schedule = time.time(), []
        for position, status in enumerate(statuses, start=1):
            late = DICE.uniform(0, LATE_BY) if hit(faults.rate_late) else 0.0
            due = moment + position * delay / 1000 + late
            schedule += [(status, due)] * (2 if hit(faults.rate_duplicate) else 1)
        return schedule

    async def account_of(self, line: Line, account: Channel) -> Channel:
        """The account that a line is written to."""
        if line.channel_config_id in (None, account.id):
            return account
        return await self.stage.accounts.get(self.kind, str(line.channel_config_id))

    async def mode(self, account: Channel, wanted: str | None) -> str:
        """The URL an account's webhooks go to: as asked for, else as last time, else its own."""
        known = self._modes.get(account.id, "channel")
        if wanted is None or wanted == known:
            return known
        self._modes[account.id] = wanted
        notes = [(self._mode_note + account.id, wanted)]
        await self.stage.records.save(errands=[], sent=[], written=[], notes=notes)
        return wanted

    def _errand(self, account: Channel, data: dict[str, Any], due: float, batch: str | None = None) -> Errand:
        return Errand(platform=self.kind, channel_config_id=account.id, data=data, due=due, batch=batch)

    def _secret(self, account: Channel, mode: str) -> str:
        """The secret of the Meta app that serves the account."""
        if mode == "channel":
            return str(account.credentials.get("app_secret", ""))
        secret = self.stage.settings.meta.app_secret
        if secret is None:
            raise InvalidInput("PARLEY_META__APP_SECRET is not set; it signs webhooks to /webhooks/meta.")
        return secret.get_secret_value()

    def _url(self, account: Channel, mode: str) -> str:
        base = self.stage.settings.gateway_base_url
        return f"{base}/webhooks/meta" if mode == "meta" else f"{base}/webhooks/{self.kind}/{account.id}"


def envelope(about: str, entries: Iterable[Entry]) -> bytes:
    """The body of a webhook: ASCII with \\u escapes and escaped slashes, as Meta writes it. Neighbouring entries of one
    account become one; the time is that of the last."""
    merged: list[Entry] = []
    for _, group in groupby(entries, key=lambda entry: entry["id"]):
        whole: Entry = {}
        for entry in group:
            whole |= {key: value for key, value in entry.items() if not isinstance(value, list)}
            for key in (key for key, value in entry.items() if isinstance(value, list)):
                whole[key] = [*whole.get(key, []), *entry[key]]
        merged.append(whole)
    body = json.dumps({"object": about, "entry": merged}, separators=(",", ":"))
    return body.replace("/", "\\/").encode("ascii")


def signed_headers(body: bytes, secret: str) -> dict[str, str]:
    """The headers of a webhook, signatures included (SHA-1 stands beside it for old receivers)."""
    key = secret.encode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "facebookexternalua",
        "X-Hub-Signature": f"sha1={hmac.digest(key, body, 'sha1').hex()}",
        "X-Hub-Signature-256": f"sha256={hmac_sha256(key, body)}",
    }


async def until_disconnected(request: Request, seconds: float) -> None:
    """Hang until the client has enough of it."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
