"""Fifty customers of each demo brand at once, half on web chat and half on WhatsApp, against a Parley that runs.

    make run                     in one terminal
    make load                    in another; takes a minute
    make load LOCUST_USERS=10 LOCUST_RUN_TIME=20s

A TURN is the time from a customer's message to the answer on the customer's channel. Its figures carry some 5-20 ms of
Locust's own and up to POLL_SECONDS of looking; `make bench` measures finely. Settings come from the environment and
.env, as for `make run`.
"""

import itertools
import random
import time
import uuid
from argparse import ArgumentParser
from typing import Any

import httpx
from locust import FastHttpUser, between, events, task
from locust.env import Environment

from packages.core.config import Settings

USERS_PER_BRAND = 50
POLL_SECONDS = 0.25
PATIENCE_SECONDS = 60.0
TENANT_ADMIN = "admin@fernhill.example"
QUESTIONS = (
    "How long is the warranty of a grinder?",
    "How do I pause my subscription?",
    "What does shipping to Ireland cost?",
    "Can I return opened coffee?",
    "Which allergens do your beans contain?",
    "Do you sell bicycles?",
    "Hello!",
)

settings = Settings()
simulator = f"http://{settings.host}:{settings.simulator_port}"
accounts: list[dict[str, Any]] = []
"""The demo tenant's channel configs, found when the test starts."""
_turns = {channel: itertools.count() for channel in ("webchat", "whatsapp")}
_run = uuid.uuid4().int % 10**6


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _defaults(parser: ArgumentParser) -> None:
    parser.set_defaults(num_users=USERS_PER_BRAND, spawn_rate=10.0, run_time="60s")


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _find_accounts(environment: Environment, **_: object) -> None:
    """Ask the API for the brands' channels, as the demo tenant's admin."""
    kept = dict(line.split("=", 1) for line in (settings.data_dir / "secrets.env").read_text().splitlines())
    with httpx.Client(base_url=settings.internal_orchestrator_url, timeout=10) as api:
        login = {"username": TENANT_ADMIN, "password": kept["DEMO_PASSWORD"]}
        token = api.post("/v1/auth/token", data=login).raise_for_status().json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        for brand in api.get("/v1/brands").raise_for_status().json()["items"]:
            found = api.get(f"/v1/brands/{brand['id']}/channels").raise_for_status().json()["items"]
            accounts.extend(found)


class Customer(FastHttpUser):
    """Somebody who asks, waits for the answer, and asks again."""

    abstract = True
    host = settings.gateway_base_url
    wait_time = between(2, 6)
    channel = ""

    def on_start(self) -> None:
        """Choose a brand: one after the other, so that all get the same share."""
        own = [account for account in accounts if account["channel"] == self.channel]
        self.number = next(_turns[self.channel])
        self.account = own[self.number % len(own)]["id"]

    @task
    def ask(self) -> None:
        """One question and its answer."""
        started = time.perf_counter()
        problem: Exception | None = None
        if self.write(random.choice(QUESTIONS)) and not self._answered():
            problem = TimeoutError(f"no answer within {PATIENCE_SECONDS:.0f} s")
        self.environment.events.request.fire(
            request_type="TURN",
            name=self.channel,
            response_time=(time.perf_counter() - started) * 1000,
            response_length=0,
            exception=problem,
            context={},
        )

    def _answered(self) -> bool:
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while time.perf_counter() < deadline:
            time.sleep(POLL_SECONDS)
            if self.has_answer():
                return True
        return False

    def write(self, text: str) -> bool:
        """Send a message; whether it was taken."""
        raise NotImplementedError

    def has_answer(self) -> bool:
        """Look for an answer that was not there before."""
        raise NotImplementedError

    def _items(self, url: str, name: str, **options: Any) -> list[dict[str, Any]]:
        with self.client.get(url, name=name, catch_response=True, **options) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
                return []
            return list(answer.json()["items"])


class WebChatVisitor(Customer):
    """Writes in the widget's way."""

    channel = "webchat"

    def on_start(self) -> None:
        """Open a session."""
        super().on_start()
        self.path = f"/webchat/{self.account}"
        answer = self.client.post(f"{self.path}/sessions", json={"name": "Load"}, name="open a session")
        self.headers = {"Authorization": f"Bearer {answer.json()['session_token']}"}
        self.seen = 0

    def write(self, text: str) -> bool:
        """Post the message."""
        body = {"client_id": uuid.uuid4().hex, "text": text}
        answer = self.client.post(f"{self.path}/messages", json=body, headers=self.headers, name="write")
        return bool(answer.status_code == 202)

    def has_answer(self) -> bool:
        """Read on from the last message known."""
        new = self._items(f"{self.path}/messages?after={self.seen}", "read", headers=self.headers)
        self.seen = max((int(item["seq"]) for item in new), default=self.seen)
        return any(item["author"] != "customer" for item in new)


class WhatsAppCustomer(Customer):
    """Writes through the simulator, which signs and delivers the webhook as Meta does."""

    channel = "whatsapp"

    def on_start(self) -> None:
        """Take a phone number that nobody else has."""
        super().on_start()
        self.phone = f"4477{_run:06d}{self.number:03d}"
        self.seen = 0

    def write(self, text: str) -> bool:
        """Let the simulator play the customer."""
        url = f"{simulator}/simulate/whatsapp/{self.account}"
        answer = self.client.post(url, json={"from": self.phone, "text": text}, name="simulate")
        return bool(answer.status_code == 202)

    def has_answer(self) -> bool:
        """Look what reached the platform for this number."""
        new = self._items(f"{simulator}/sent?to={self.phone}&after={self.seen}", "look")
        self.seen = max((int(item["n"]) for item in new), default=self.seen)
        return bool(new)
