"""Channels: what it costs to verify and parse a webhook, and how soon a batch of 1,000 items is acknowledged."""

import time
from collections.abc import AsyncIterator

from bench import payloads
from bench.http_load import closed_loop
from bench.report import Section
from bench.stack import Stack
from bench.tenants import make_brands
from packages.core.domain.channels import Channel as Account
from services.channel_gateway.channels import WebhookRequest
from services.channel_gateway.channels.whatsapp import channel as whatsapp

REPEATS = 3_000
BATCH = 1_000


async def measure(rounds: int, _seconds: float) -> AsyncIterator[Section]:
    """CPU time of one webhook, and the acknowledgement of a large one."""
    yield _reading(rounds)
    async with Stack() as stack:
        (brand,) = await make_brands(stack, 1, api_base="http://127.0.0.1:9", articles=0)
        for name in ("worker", "orchestrator"):
            await stack.stop(name)
        section = Section(f"batch: one webhook with {BATCH:,} items")
        loads = []
        for number in range(rounds):
            tag = f"{time.time_ns():x}.{number}"
            body = payloads.batch(BATCH, tag, phone_number_id=brand.phone_number_id)
            port = stack.settings.gateway_port
            request = payloads.http_request(body, brand.path, port)
            loads.append(await closed_loop(port, iter([request]), connections=1, seconds=10))
        section.add("until it is acknowledged", [load.percentile(0.5) for load in loads], "ms", floor=1000, aim=250)
        section.add("refused or lost", [load.bad for load in loads], "", floor=0, aim=0)
        yield section


def _reading(rounds: int) -> Section:
    section = Section("reading: verify and parse a 1 KiB WhatsApp webhook, in process")
    request, account = _signed(), _account()
    times = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(REPEATS):
            whatsapp.verify(request, account)
            whatsapp.parse(request)
        times.append((time.process_time() - began) / REPEATS * 1e6)
    section.add("CPU of verify and parse", times, "µs", floor=150, aim=50)
    return section


def _signed() -> WebhookRequest:
    body = payloads.sized("wamid.bench", phone_number_id="1", user="15550000001")
    headers = {"x-hub-signature-256": payloads.signature(body)}
    return WebhookRequest(method="POST", url="", headers=headers, query={}, body=body)


def _account() -> Account:
    secrets = {"phone_number_id": "1", "access_token": "t", "app_secret": payloads.APP_SECRET, "verify_token": "v"}
    return Account(
        id="1",
        tenant_id="1",
        brand_id="1",
        kind="whatsapp",
        name="Bench",
        account_id="1",
        credentials=whatsapp.Credentials.model_validate(secrets),
    )
