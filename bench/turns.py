"""Whole turns: webhook in, answer at the platform, beside a language model that takes 1.27 s.

Ten brands with fifty conversations each. Rounds of Parley and of the reference pipeline alternate against the same
Redis, PostgreSQL, language model and platform.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg

from bench import fake_llm, programs, reference_pipeline
from bench.conversations import GraphAPI, Outcome, Pace, converse, graph_api
from bench.processes import rss_megabytes
from bench.report import Section
from bench.stack import Stack
from bench.tenants import Brand, make_brands
from services.local.engines import free_port

BRANDS, CONVERSATIONS, LIGHT_CONVERSATIONS = 10, 50, 5
FIRST_MS, PIECE_MS = 400.0, 30.0
IDEAL_MS = fake_llm.ideal_ms(FIRST_MS, PIECE_MS)
PAUSE_SECONDS, WARM_UP_SECONDS = 4.0, 6.0
SERVICES = ("gateway", "orchestrator")
ENGINES = ("redis", "postgres")
CONCURRENCY = 600
"""More turns at once than there are conversations; each of them does little but wait for the language model."""


@dataclass(frozen=True, slots=True)
class Site:
    """Parley, its brands, and the outside world as it sees it."""

    stack: Stack
    brands: Sequence[Brand]
    graph: GraphAPI
    llm_url: str
    graph_url: str

    async def run(self, pace: Pace, brands: Sequence[Brand] | None = None) -> Outcome:
        """One round of Parley."""
        pids = self.stack.pids(*SERVICES, *ENGINES)
        port = self.stack.settings.gateway_port
        return await converse(port, brands or self.brands, self.graph, pace, ideal_ms=IDEAL_MS, meter_pids=pids)


@dataclass(frozen=True, slots=True)
class _ReferenceAccount:
    phone_number_id: str
    path: str = reference_pipeline.PATH


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference pipeline, beside a site."""

    site: Site
    port: int
    pids: dict[str, int]

    async def run(self, pace: Pace) -> Outcome:
        """One round of the reference."""
        accounts = [_ReferenceAccount(brand.phone_number_id) for brand in self.site.brands]
        pids = self.pids | self.site.stack.pids(*ENGINES)
        return await converse(self.port, accounts, self.site.graph, pace, ideal_ms=IDEAL_MS, meter_pids=pids)


@asynccontextmanager
async def site(brands: int, *, local_embedder: bool, articles: int = 9) -> AsyncIterator[Site]:
    """Everything up, with so many tenants."""
    graph_port = free_port()
    times = {"FAKE_LLM_FIRST_MS": str(FIRST_MS), "FAKE_LLM_PIECE_MS": str(PIECE_MS)}
    async with programs.web("bench.fake_llm:app", times) as (llm_port, _), graph_api(graph_port) as graph:
        llm_url, graph_url = f"http://127.0.0.1:{llm_port}/v1", f"http://127.0.0.1:{graph_port}"
        environment = {
            "PARLEY_LLM__BASE_URL": llm_url,
            "PARLEY_TURN__DEBOUNCE_SECONDS": "0",
            "PARLEY_TURN__CONCURRENCY": str(CONCURRENCY),
        }
        if not local_embedder:
            remote = {"PROVIDER": "openai", "MODEL": "fake", "BASE_URL": llm_url, "DIMENSIONS": "384"}
            environment |= {f"PARLEY_EMBEDDINGS__{name}": value for name, value in remote.items()}
        async with Stack(environment) as stack:
            made = await make_brands(stack, brands, api_base=graph_url, articles=articles)
            await stack.stop("worker")
            yield Site(stack, made, graph, llm_url, graph_url)


@asynccontextmanager
async def reference(on: Site) -> AsyncIterator[Reference]:
    """The reference pipeline on the site's engines."""
    urls = {
        "REDIS": on.stack.settings.redis_url,
        "POSTGRES": on.stack.admin_url,
        "LLM": on.llm_url,
        "GRAPH": on.graph_url,
    }
    environment = {f"REFERENCE_{name}": url for name, url in urls.items()}
    connection = await asyncpg.connect(on.stack.admin_url)
    await connection.execute(reference_pipeline.SCHEMA)
    await connection.close()
    async with AsyncExitStack() as exits:
        port, gateway = await exits.enter_async_context(programs.web("bench.reference_pipeline:gateway", environment))
        pids = {"gateway": gateway}
        for name in ("orchestrator", "sender"):
            arguments = ["bench.reference_pipeline", name]
            pids[name] = await exits.enter_async_context(programs.program(name, arguments, environment))
        yield Reference(on, port, pids)


async def measure(rounds: int, seconds: float) -> AsyncIterator[Section]:
    """Light, paced and unpaced load with embeddings from elsewhere; then light and paced with the local embedder."""
    async with site(BRANDS, local_embedder=False) as on, reference(on) as other:
        yield await _paced(on, other, rounds, seconds, "turns_light", LIGHT_CONVERSATIONS)
        yield await _paced(on, other, rounds, seconds, "turns", CONVERSATIONS)
        section = await _unpaced(on, other, rounds, seconds)
        _add_memory(section, on)
        yield section
    async with site(BRANDS, local_embedder=True) as on, reference(on) as other:
        yield await _paced(on, other, rounds, seconds, "turns_local_light", LIGHT_CONVERSATIONS)
        yield await _paced(on, other, rounds, seconds, "turns_local", CONVERSATIONS)


async def _paced(on: Site, other: Reference, rounds: int, seconds: float, name: str, conversations: int) -> Section:
    embedder = "the local embedder" if "local" in name else "embeddings from elsewhere"
    section = Section(
        f"{name}: {BRANDS} brands × {conversations} conversations, {PAUSE_SECONDS:.0f} s between messages, {embedder}"
    )
    ours, theirs = await _alternate(on, other, Pace(conversations, PAUSE_SECONDS, WARM_UP_SECONDS, seconds), rounds)
    judged = conversations == CONVERSATIONS
    late, later = ({"floor": 40.0, "aim": 15.0}, {"floor": 150.0, "aim": 40.0}) if judged else ({}, {})
    cpu = {"floor": 10.0, "aim": 5.0} if judged and "local" not in name else {}
    section.add("overhead beside the LLM, p50", [run.overhead(0.5) for run in ours], "ms", **late)
    section.add("overhead beside the LLM, p95", [run.overhead(0.95) for run in ours], "ms", **later)
    section.add("CPU of a turn, gateway and orchestrator", [run.cpu_per_turn(*SERVICES) for run in ours], "ms", **cpu)
    for process in (*SERVICES, *ENGINES):
        section.add(f"CPU of a turn, {process}", [run.cpu_per_turn(process) for run in ours], "ms")
    section.add("turns a second", [run.rate for run in ours], "1/s")
    _add_reference(section, theirs)
    _add_accounts(section, ours)
    return section


async def _unpaced(on: Site, other: Reference, rounds: int, seconds: float) -> Section:
    section = Section(f"turns_unpaced: {BRANDS} brands × {CONVERSATIONS} conversations that never pause")
    ours, theirs = await _alternate(on, other, Pace(CONVERSATIONS, 0.0, WARM_UP_SECONDS, seconds), rounds)
    ratios = [own.rate / floor.rate for own, floor in zip(ours, theirs, strict=True)]
    section.add("Parley / reference, turns a second", ratios, "×", floor=0.3, aim=0.6, larger_is_better=True)
    section.add("turns a second", [run.rate for run in ours], "1/s")
    section.add("CPU of a turn, gateway and orchestrator", [run.cpu_per_turn(*SERVICES) for run in ours], "ms")
    _add_reference(section, theirs)
    _add_accounts(section, ours)
    return section


async def _alternate(on: Site, other: Reference, pace: Pace, rounds: int) -> tuple[list[Outcome], list[Outcome]]:
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(await other.run(pace))
        ours.append(await on.run(pace))
    return ours, theirs


def _add_reference(section: Section, theirs: Sequence[Outcome]) -> None:
    section.add("reference: turns a second", [run.rate for run in theirs], "1/s")
    section.add("reference: overhead, p50", [run.overhead(0.5) for run in theirs], "ms")
    section.add("reference: overhead, p95", [run.overhead(0.95) for run in theirs], "ms")
    names = ("gateway", "orchestrator", "sender")
    section.add("reference: CPU of a turn", [run.cpu_per_turn(*names) for run in theirs], "ms")


def _add_accounts(section: Section, ours: Sequence[Outcome]) -> None:
    section.add("messages lost or refused", [run.lost + run.refused for run in ours], floor=0, aim=0)
    section.add("messages answered twice", [run.doubled for run in ours], floor=0, aim=0)
    texts = set().union(*(run.texts for run in ours))
    section.remarks.append(f"{sum(run.answered for run in ours)} answers, for example: {min(texts, default='none')!r}")


def _add_memory(section: Section, on: Site) -> None:
    pids = on.stack.pids(*SERVICES)
    section.add(
        "resident memory of the gateway, after all that", [rss_megabytes(pids["gateway"])], "MB", floor=150, aim=80
    )
    section.add(
        "resident memory of the orchestrator, after all that",
        [rss_megabytes(pids["orchestrator"])],
        "MB",
        floor=300,
        aim=160,
    )
