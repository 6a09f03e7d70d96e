"""Tenants for a measurement, made through the public API as an operator would."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.payloads import APP_SECRET
from bench.stack import Stack
from services.local.api_client import APIClient, APIRefused

ARTICLES = Path(__file__).parent.parent / "services" / "local" / "demo_content"
PASSWORD = "a-long-password-for-benchmarks"  # noqa: S105 - of a tenant that lives for minutes
READING_SECONDS = 600.0
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand with one WhatsApp number; `path` is where its webhooks go."""

    tenant_id: str
    brand_id: str
    channel_config_id: str
    phone_number_id: str
    path: str


async def make_brands(stack: Stack, count: int, *, api_base: str, articles: int = 9) -> list[Brand]:
    """Tenants with one brand each, who know the first so many of the demo's articles.

    Raises:
        APIRefused: the API did not do as it was asked, or the articles were not read in time.
    """
    places = asyncio.Semaphore(AT_ONCE)
    settings = stack.settings
    assert settings.admin_password
    async with APIClient(settings.internal_orchestrator_url) as admin:
        await admin.log_in(settings.admin_email, settings.admin_password.get_secret_value())

        async def make(number: int) -> Brand:
            async with places:
                return await _make_brand(stack, admin, number, api_base, articles)

        brands = list(await asyncio.gather(*(make(number) for number in range(count))))
    await _until_read(stack, count * articles)
    return brands


async def _make_brand(stack: Stack, admin: APIClient, number: int, api_base: str, articles: int) -> Brand:
    slug, phone_number_id = f"bench-{number}", str(100_000_000_000_001 + number)
    email = f"admin@{slug}.example"
    tenant = {"name": f"Bench {number}", "slug": slug, "admin_email": email, "admin_password": PASSWORD}
    tenant_id = (await admin.post("/v1/tenants", tenant))["id"]
    async with APIClient(stack.settings.internal_orchestrator_url) as api:
        await api.log_in(email, PASSWORD)
        brand = await api.post("/v1/brands", {"name": f"Bench {number}", "slug": slug, "locale": "en-GB"})
        credentials = {"phone_number_id": phone_number_id, "access_token": f"token-{slug}"}
        secrets = {"app_secret": APP_SECRET, "verify_token": "verify"}
        channel = {"channel": "whatsapp", "name": "WhatsApp", "credentials": credentials | secrets}
        made = await api.post(f"/v1/brands/{brand['id']}/channels", channel | {"settings": {"api_base": api_base}})
        files = [
            ("files", (file.name, file.read_bytes(), "text/markdown"))
            for file in sorted(ARTICLES.glob("*.md"))[:articles]
        ]
        if files:
            await api.post(f"/v1/brands/{brand['id']}/knowledge", files=files)
    return Brand(
        tenant_id=tenant_id,
        brand_id=brand["id"],
        channel_config_id=made["id"],
        phone_number_id=phone_number_id,
        path=urlsplit(made["webhook_url"]).path,
    )


async def _until_read(stack: Stack, sources: int) -> None:
    deadline = time.monotonic() + READING_SECONDS
    while True:
        rows = await stack.sql("SELECT status, count(*) AS n FROM knowledge_source GROUP BY status")
        counts = {row["status"]: row["n"] for row in rows}
        if counts.get("ready", 0) >= sources:
            return
        if counts.get("failed") or time.monotonic() > deadline:
            raise APIRefused(f"the articles are not ready: {counts}")
        await asyncio.sleep(0.3)
