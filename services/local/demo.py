"""The demo: a tenant with one brand, its knowledge, a web chat, and an account on each platform at the simulator.

All of it is made through the public API, as a tenant would, and looked up first, so a later start makes nothing twice.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packages.core.config import Settings
from services.local.api_client import APIClient, APIRefused
from services.local.console import Console

CONTENT = Path(__file__).parent / "demo_content"
SLUG = "fernhill"
ADMIN, AGENT = "admin@fernhill.example", "agent@fernhill.example"
READING_SECONDS = 180.0
FAQ = [
    {
        "question": "Do you sell gift cards?",
        "answer": "Yes. Gift cards come by e-mail, in any amount from £10 to £200, and are valid for three years.",
    },
    {
        "question": "Is there a loyalty programme?",
        "answer": "You collect one bean for each pound. 100 beans are worth £5 and expire after twelve months.",
    },
    {
        "question": "Where does your coffee come from?",
        "answer": "From eleven farms in Ethiopia, Colombia, Guatemala and Rwanda; each bag names its farm.",
    },
]
NAMES = {
    "webchat": "Fernhill Coffee",
    "whatsapp": "Fernhill Coffee on WhatsApp",
    "instagram": "@fernhillcoffee",
    "telegram": "Fernhill Coffee's bot",
    "twilio": "Fernhill Coffee by SMS",
}
PERSONA = {
    "display_name": "Fern",
    "tone": "warm, plain and brief, like a good barista",
    "instructions": "You speak for Fernhill Coffee, a roastery in Bristol. Use pounds sterling and British spelling.",
    "languages": ["en"],
}


async def prepare(settings: Settings, kept: Mapping[str, str], console: Console) -> str:
    """Make what is missing of the demo and say how to use it. If that fails it is told, and Parley runs on."""
    password, made = kept["DEMO_PASSWORD"], settings.data_dir / "demo-made"
    try:
        async with APIClient(settings.internal_orchestrator_url) as api:
            if not made.exists() or not await api.log_in(ADMIN, password):
                await _make_tenant(api, settings, password)
            brand_id = await _brand(api)
            await _people(api, password)
            channels = await _channels(api, brand_id, settings)
            await _knowledge(api, brand_id, console)
        made.touch()
    except APIRefused as error:
        console.trouble("demo", f"not complete: {error}")
        return _how_to_operate(settings)
    return _how_to_use(settings, password, channels) + _how_to_operate(settings)


async def _make_tenant(api: APIClient, settings: Settings, password: str) -> None:
    admin_password = settings.admin_password.get_secret_value() if settings.admin_password else ""
    if not await api.log_in(settings.admin_email, admin_password):
        raise APIRefused(
            f"the platform admin {settings.admin_email} has another password than PARLEY_ADMIN_PASSWORD says"
        )
    if any(tenant["slug"] == SLUG for tenant in (await api.get("/v1/tenants", limit="200"))["items"]):
        if not await api.log_in(ADMIN, password):
            raise APIRefused(f"the password of {ADMIN} is no longer the one in secrets.env")
        return
    tenant = {"name": "Fernhill Coffee", "slug": SLUG, "admin_email": ADMIN, "admin_password": password}
    await api.post("/v1/tenants", tenant)
    await api.log_in(ADMIN, password)


async def _brand(api: APIClient) -> str:
    found = next((brand for brand in (await api.get("/v1/brands"))["items"] if brand["slug"] == SLUG), None)
    if found is None:
        brand = {"name": "Fernhill Coffee", "slug": SLUG, "locale": "en-GB", "timezone": "Europe/London"}
        found = await api.post("/v1/brands", brand)
        await api.put(f"/v1/brands/{found['id']}/persona", PERSONA)
    return str(found["id"])


async def _people(api: APIClient, password: str) -> None:
    emails = {user["email"] for user in (await api.get("/v1/users"))["items"]}
    if AGENT not in emails:
        await api.post("/v1/users", {"email": AGENT, "name": "Robin", "password": password, "role": "agent"})


async def _channels(api: APIClient, brand_id: str, settings: Settings) -> dict[str, str]:
    """Ids of the channel configs by channel. Addresses of this machine are brought up to date."""
    path = f"/v1/brands/{brand_id}/channels"
    simulated = {"demo": True, "api_base": f"http://{settings.host}:{settings.simulator_port}"}
    own_settings = {channel: {"demo": True} if channel == "webchat" else simulated for channel in NAMES}
    found = {item["channel"]: item for item in (await api.get(path))["items"] if item["settings"].get("demo")}
    for channel, wanted in own_settings.items():
        if channel not in found:
            body = {"channel": channel, "name": NAMES[channel], "settings": wanted}
            found[channel] = await api.post(path, body | {"credentials": _credentials(channel, settings)})
        elif found[channel]["settings"] != wanted:
            await api.patch(f"{path}/{found[channel]['id']}", {"settings": wanted})
    return {channel: str(item["id"]) for channel, item in found.items()}


def _credentials(channel: str, settings: Settings) -> dict[str, Any]:
    app = {
        "access_token": f"demo-{secrets.token_hex(16)}",
        "app_secret": secrets.token_hex(16),
        "verify_token": secrets.token_hex(8),
    }
    known: dict[str, dict[str, Any]] = {
        "webchat": {"allowed_origins": [settings.gateway_base_url, f"http://localhost:{settings.gateway_port}"]},
        "whatsapp": {"phone_number_id": "100000000000001", **app},
        "instagram": {"account_id": "17841400000000001", **app},
        "telegram": {"bot_token": f"7000000001:{secrets.token_hex(17)}A", "secret_token": secrets.token_hex(16)},
        "twilio": {
            "account_sid": f"AC{secrets.token_hex(16)}",
            "auth_token": secrets.token_hex(16),
            "from": "+441174960123",
        },
    }
    return known[channel]


async def _knowledge(api: APIClient, brand_id: str, console: Console) -> None:
    path = f"/v1/brands/{brand_id}/knowledge"
    sources = (await api.get(path, limit="100"))["items"]
    if not sources:
        articles = sorted(CONTENT.glob("*.md"))
        await api.post(path, files=[("files", (file.name, file.read_bytes(), "text/markdown")) for file in articles])
        await api.post(path, {"faq": FAQ, "title": "Questions we are often asked"})
    deadline = time.monotonic() + READING_SECONDS
    while time.monotonic() < deadline:
        sources = (await api.get(path, limit="100"))["items"]
        unfinished = [source for source in sources if source["status"] in {"queued", "processing"}]
        if not unfinished:
            break
        await asyncio.sleep(0.3)
    ready = sum(source["status"] == "ready" for source in sources)
    console.step("demo knowledge", f"{ready} of {len(sources)} articles ready")


def _how_to_use(settings: Settings, password: str, channels: Mapping[str, str]) -> str:
    api, simulator = settings.internal_orchestrator_url, f"http://{settings.host}:{settings.simulator_port}"
    return f"""
Parley is ready. The demo brand is Fernhill Coffee.

  Chat with it        {settings.gateway_base_url}/demo
  WhatsApp, Instagram, Telegram and SMS, simulated
                      {simulator}/
  API and its docs    {api}/docs

  Demo tenant admin   {ADMIN} / {password}
  Demo agent          {AGENT} / {password}

Ask on WhatsApp, and read the answer that arrived there:
  curl -s {simulator}/simulate/whatsapp/{channels["whatsapp"]} \\
       -H 'Content-Type: application/json' -d '{{"from": "447700900123", "text": "How long is the grinder warranty?"}}'
  curl -s '{simulator}/sent?to=447700900123'
"""


def _how_to_operate(settings: Settings) -> str:
    password = settings.admin_password.get_secret_value() if settings.admin_password else "(as set)"
    return f"""
  Platform admin      {settings.admin_email} / {password}
  Logs                {settings.data_dir / "logs"}

Ctrl-C ends it; the data stays.
"""
