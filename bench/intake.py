"""Intake: how many signed webhooks one gateway process makes durable, and how soon it acknowledges them.

Only the gateway, Redis and PostgreSQL run; nobody takes the messages off the stream. Each round measures a bare echo
under the same server and client, then the gateway, so that whatever else the machine does weighs on both.
"""

import itertools
import time
from collections.abc import AsyncIterator

from bench import payloads, programs
from bench.http_load import Load, closed_loop, open_loop
from bench.processes import CPUMeter, rss_megabytes
from bench.report import Section
from bench.stack import Stack
from bench.tenants import Brand, make_brands

CONNECTIONS = 50
WARM_UP_SECONDS = 1.0
FEWEST_A_SECOND = 16_000
"""Requests prepared per second of measuring: more than a gateway can take."""
RATE = 1000.0


async def measure(rounds: int, seconds: float) -> AsyncIterator[Section]:
    """Throughput against the echo, and acknowledgements at a fixed rate."""
    async with Stack() as stack, programs.web("bench.echo:app") as (echo_port, echo_pid):
        (brand,) = await make_brands(stack, 1, api_base="http://127.0.0.1:9", articles=0)
        for name in ("worker", "orchestrator"):
            await stack.stop(name)
        yield await _throughput(stack, brand, echo_port, echo_pid, rounds, seconds)
        yield await _acknowledgements(stack, brand, rounds, seconds)


def _requests(stack: Stack, brand: Brand, count: int) -> list[bytes]:
    return list(
        payloads.requests(
            count,
            f"{time.time_ns():x}.",
            phone_number_id=brand.phone_number_id,
            path=brand.path,
            port=stack.settings.gateway_port,
        )
    )


async def _throughput(
    stack: Stack, brand: Brand, echo_port: int, echo_pid: int, rounds: int, seconds: float
) -> Section:
    section = Section("intake: signed 1 KiB webhooks, one process, 50 connections")
    echo_requests = list(
        payloads.requests(1000, "e", phone_number_id=brand.phone_number_id, path="/webhook", port=echo_port)
    )
    port, pids = stack.settings.gateway_port, stack.pids("gateway", "redis", "postgres")
    echoes: list[tuple[Load, dict[str, float]]] = []
    takes: list[tuple[Load, dict[str, float]]] = []
    for _ in range(rounds):
        await closed_loop(echo_port, itertools.cycle(echo_requests), connections=CONNECTIONS, seconds=WARM_UP_SECONDS)
        meter = CPUMeter({"echo": echo_pid})
        load = await closed_loop(echo_port, itertools.cycle(echo_requests), connections=CONNECTIONS, seconds=seconds)
        echoes.append((load, meter.seconds()))
        warm_up = iter(_requests(stack, brand, int(WARM_UP_SECONDS * FEWEST_A_SECOND)))
        prepared = iter(_requests(stack, brand, int(seconds * FEWEST_A_SECOND)))
        await closed_loop(port, warm_up, connections=CONNECTIONS, seconds=WARM_UP_SECONDS)
        meter = CPUMeter(pids)
        load = await closed_loop(port, prepared, connections=CONNECTIONS, seconds=seconds)
        takes.append((load, meter.seconds()))
    _add_throughput(section, echoes, takes)
    section.add("resident memory of the gateway", [rss_megabytes(pids["gateway"])], "MB", floor=150, aim=80)
    return section


def _add_throughput(
    section: Section, echoes: list[tuple[Load, dict[str, float]]], takes: list[tuple[Load, dict[str, float]]]
) -> None:
    def micros(rows: list[tuple[Load, dict[str, float]]], name: str) -> list[float]:
        return [cpu[name] / load.answered * 1e6 for load, cpu in rows]

    pairs = list(zip(takes, echoes, strict=True))
    ratios = [take.rate / echo.rate for (take, _), (echo, _) in pairs]
    cpu_ratios = [own / other for own, other in zip(micros(takes, "gateway"), micros(echoes, "echo"), strict=True)]
    section.add("gateway / echo, requests a second", ratios, "×", floor=0.20, aim=0.33, larger_is_better=True)
    section.add("gateway / echo, CPU of a request", cpu_ratios, "×", floor=5.0, aim=3.2)
    section.add("gateway, requests a second", [load.rate for load, _ in takes], "1/s")
    section.add("echo, requests a second", [load.rate for load, _ in echoes], "1/s")
    section.add("gateway, CPU of a request", micros(takes, "gateway"), "µs", floor=150, aim=95)
    section.add("echo, CPU of a request", micros(echoes, "echo"), "µs")
    section.add("Redis, CPU of a request", micros(takes, "redis"), "µs")
    section.add("refused or lost", [load.bad for load, _ in takes], "", floor=0, aim=0)


async def _acknowledgements(stack: Stack, brand: Brand, rounds: int, seconds: float) -> Section:
    section = Section(f"acknowledgement: {RATE:.0f} webhooks a second, whatever the gateway does")
    loads = []
    for _ in range(rounds):
        requests = _requests(stack, brand, int(RATE * seconds))
        loads.append(await open_loop(stack.settings.gateway_port, requests, rate=RATE))
    section.add("acknowledgement, p50", [load.percentile(0.5) for load in loads], "ms", floor=5, aim=2)
    section.add("acknowledgement, p99", [load.percentile(0.99) for load in loads], "ms", floor=50, aim=10)
    section.add("answered a second", [load.rate for load in loads], "1/s")
    section.add("refused or lost", [load.bad for load in loads], "", floor=0, aim=0)
    return section
