"""One product for the whole story, as a person starts it, and what its customers and admins do with it."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from tests.product import API, Product, make_brand

KNOWLEDGE = Path(__file__).parents[1] / "data/knowledge"
DOCUMENTS = [
    "five_pages_headings.pdf",
    "forgot-your-password.md",
    "change-your-phone-number.md",
    "delete-your-account.md",
    "accepted-id-type.md",
]


@dataclass
class Stage:
    """The product, one tenant's ids, and an API client logged in as its admin."""

    folder: Path
    product: Product
    tenant: dict[str, str]
    api: API
    simulator: httpx.AsyncClient
    progress: dict[str, list[tuple[str, float]]] = field(default_factory=dict)

    @property
    def knowledge(self) -> str:
        """Path of the brand's knowledge."""
        return f"/v1/brands/{self.tenant['brand']}/knowledge"

    async def ask(self, channel: str, customer: str, text: str) -> None:
        """A customer writes."""
        answer = await self.simulator.post(
            f"/simulate/{channel}/{self.tenant[channel]}", json={"from": customer, "text": text}
        )
        assert answer.status_code == 202, answer.text

    async def received(self, channel: str, customer: str, count: int = 1, seconds: float = 60) -> list[str]:
        """The texts that reached a customer, once there are `count`."""
        texts: list[str] = []
        deadline = time.monotonic() + seconds
        while len(texts) < count and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            sent = await self.simulator.get("/sent", params={"channel": channel, "to": customer})
            texts = [item["text"] for item in sent.json()["items"]]
        assert len(texts) >= count, f"{texts} reached {customer} on {channel}"
        return texts

    async def conversation(self, channel: str, customer: str) -> dict[str, Any]:
        """The conversation, as agents see it, of whoever got a message at the platform."""
        sent = await self.simulator.get("/sent", params={"channel": channel, "to": customer})
        message_ids = {item["message_id"] for item in sent.json()["items"]}
        for summary in (await self.api.get("/v1/conversations", brand_id=self.tenant["brand"]))["items"]:
            conversation: dict[str, Any] = await self.api.get(f"/v1/conversations/{summary['id']}")
            if message_ids & {message["id"] for message in conversation["messages"]}:
                return conversation
        raise AssertionError(f"no conversation has what reached {customer} on {channel}")

    async def once(self, holds: Callable[[dict[str, Any]], bool], channel: str, customer: str) -> dict[str, Any]:
        """The conversation once something is true of it, or as it is after half a minute."""
        deadline = time.monotonic() + 30
        while not holds(found := await self.conversation(channel, customer)) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        return found

    async def restart(self, **environment: str) -> None:
        """Ctrl-C, and the same command again, with further settings."""
        assert await asyncio.to_thread(self.product.stop) == 0
        ports = self.product.ports
        same = {f"PARLEY_{name.upper()}_PORT": str(port) for name, port in ports.items()}
        self.product = Product(self.folder / "data", demo=True, **{**same, **environment})
        self.product.ports = ports
        await asyncio.to_thread(self.product.start)
        await self.api.log_in(self.tenant["email"], self.tenant["password"])


def reachable_folder() -> Path:
    """A folder that the unprivileged user of the embedded PostgreSQL can reach."""
    folder = Path(tempfile.mkdtemp(prefix="parley-e2e-"))
    folder.chmod(0o755)
    return folder


@pytest_asyncio.fixture(scope="session")
async def stage() -> AsyncIterator[Stage]:
    """Everything started for the first time, demo included; a tenant of our own with nothing known yet."""
    folder = reachable_folder()
    product = Product(folder / "data", demo=True)
    await asyncio.to_thread(product.start)
    tenant = await make_brand(product, "story", app_secret="a-meta-secret", phone_number_id="100000000000777")
    api = API(product.url("orchestrator"))
    await api.log_in(tenant["email"], tenant["password"])
    async with httpx.AsyncClient(base_url=product.url("simulator"), timeout=30) as simulator:
        stage = Stage(folder, product, tenant, api, simulator)
        yield stage
    await api.client.aclose()
    await asyncio.to_thread(stage.product.stop)
    shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="session")
async def taught(stage: Stage) -> Stage:
    """The documents uploaded, and their progress watched until each is ready or failed."""
    files = [("files", (name, (KNOWLEDGE / name).read_bytes())) for name in DOCUMENTS]
    uploaded = await stage.api.client.post(stage.knowledge, files=files)
    assert uploaded.status_code == 202, uploaded.text
    pairs = list(zip(uploaded.json()["items"], DOCUMENTS, strict=True))
    titles = {item["id"]: name for item, name in pairs}
    stage.progress = {name: [(item["status"], 0.0)] for item, name in pairs}
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for source in (await stage.api.get(stage.knowledge))["items"]:
            seen = stage.progress[titles[source["id"]]]
            now = (source["status"], source["progress"])
            if seen[-1] != now:
                seen.append(now)
        if all(seen[-1][0] in {"ready", "failed"} for seen in stage.progress.values()):
            break
        await asyncio.sleep(0.02)
    return stage
