"""The whole product as an operator starts it, in a data directory of its own and on free ports."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from services.local.engines import free_port

ROOT = Path(__file__).parent.parent
READY_SECONDS = 120


class Product:
    """`python -m services.local` and what a test needs to know of it."""

    def __init__(self, folder: Path, *, demo: bool = False, **environment: str) -> None:
        self.folder = folder
        self._demo = demo
        self.ports = {name: free_port() for name in ("orchestrator", "gateway", "simulator")}
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")},
            "PARLEY_DATA_DIR": str(folder),
            **{f"PARLEY_{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.console = folder / "console.log"

    def start(self) -> None:
        """Start everything and wait until it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        with self.console.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.local", *([] if self._demo else ["--no-demo"])],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while b"Parley is ready" not in self.console.read_bytes()[begin:]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the product did not start: {self.console.read_text()[-3000:]}")
            time.sleep(0.1)

    def stop(self) -> int:
        """Ctrl-C; returns the exit status."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def pid(self, name: str) -> int:
        """The process id of a service or an engine."""
        noted: dict[str, Any] = json.loads((self.folder / "pids.json").read_text())
        return int(noted[name]["pid"])

    def kill(self, name: str) -> None:
        """kill -9 a service or an engine, with all its children."""
        try:
            process = psutil.Process(self.pid(name))
            family = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue

    def url(self, service: str) -> str:
        """Base URL of orchestrator, gateway or simulator."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def secret(self, name: str) -> str:
        """A secret that the first start made."""
        lines = (self.folder / "secrets.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)[name]

    @property
    def redis_url(self) -> str:
        """URL of the embedded Redis."""
        folder = self.folder / "redis"
        return (
            f"redis://:{(folder / 'password').read_text().strip()}@127.0.0.1:{(folder / 'port').read_text().strip()}/0"
        )

    async def sql(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Ask the embedded PostgreSQL as its owner."""
        password = (self.folder / "postgres" / "password").read_text().strip()
        port = (self.folder / "postgres" / "port").read_text().strip()
        link = await asyncpg.connect(f"postgresql://parley_owner:{password}@127.0.0.1:{port}/parley")
        try:
            return [dict(row) for row in await link.fetch(query, *arguments)]
        finally:
            await link.close()


class API:
    """The orchestrator's API, logged in."""

    def __init__(self, base_url: str) -> None:
        self.client = httpx.AsyncClient(base_url=base_url, timeout=30)

    async def log_in(self, email: str, password: str) -> None:
        """Get a token."""
        answer = await self.client.post("/v1/auth/token", data={"username": email, "password": password})
        answer.raise_for_status()
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    async def post(self, path: str, body: Any) -> Any:
        """POST JSON, expect success."""
        answer = await self.client.post(path, json=body)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json()

    async def get(self, path: str, **params: str) -> Any:
        """GET, expect success."""
        answer = await self.client.get(path, params=params)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json()


async def make_brand(product: Product, slug: str, *, app_secret: str, phone_number_id: str) -> dict[str, str]:
    """A tenant with a brand, a WhatsApp number at the simulator and a web chat.

    Returns:
        email, password, brand, whatsapp and webchat (channel config ids).
    """
    email, password = f"admin@{slug}.example", "a-long-password-for-tests"
    api = API(product.url("orchestrator"))
    await api.log_in("admin@parley.local", product.secret("PARLEY_ADMIN_PASSWORD"))
    await api.post("/v1/tenants", {"name": slug, "slug": slug, "admin_email": email, "admin_password": password})
    await api.log_in(email, password)
    brand = (await api.post("/v1/brands", {"name": slug.title(), "slug": slug}))["id"]
    whatsapp = await api.post(
        f"/v1/brands/{brand}/channels",
        {
            "channel": "whatsapp",
            "name": "WhatsApp",
            "credentials": {
                "phone_number_id": phone_number_id,
                "access_token": f"token-{slug}",
                "app_secret": app_secret,
                "verify_token": "verify",
            },
            "settings": {"api_base": product.url("simulator")},
        },
    )
    webchat = await api.post(
        f"/v1/brands/{brand}/channels",
        {"channel": "webchat", "name": "Web", "credentials": {"allowed_origins": ["*"]}, "settings": {}},
    )
    await api.client.aclose()
    return {
        "email": email,
        "password": password,
        "brand": brand,
        "whatsapp": whatsapp["id"],
        "webchat": webchat["id"],
        "webhook_url": whatsapp["webhook_url"],
    }
