"""The services as processes: which program each is, and how to tell that it serves."""

import http.client
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from packages.core.config import Settings
from services.local.engines import Command, can_bind, free_port
from services.local.schema import ROOT

PORT_SETTINGS = {
    "orchestrator": "PARLEY_ORCHESTRATOR_PORT",
    "gateway": "PARLEY_GATEWAY_PORT",
    "simulator": "PARLEY_SIMULATOR_PORT",
}
STOP_SECONDS = 5
KEEP_ALIVE = "75"
"""Seconds; longer than the usual pause between webhooks, so that no platform writes into a connection just closed."""


class PortTaken(Exception):
    """A service cannot listen where its setting says; the message names the setting."""


def with_ports(settings: Settings) -> Settings:
    """The settings with ports that are free; for 0 one is chosen.

    Raises:
        PortTaken: with the first setting that must change.
    """
    chosen: dict[str, int] = {}
    for name, setting in PORT_SETTINGS.items():
        port = chosen[f"{name}_port"] = getattr(settings, f"{name}_port") or free_port()
        if not can_bind(settings.host, port):
            raise PortTaken(
                f"Port {port} on {settings.host} is taken by another program, and the {name} needs it. "
                f"Choose a free one with {setting}, for example: {setting}={free_port()} make run"
            )
    return settings.model_copy(update=chosen)


def commands(settings: Settings, env: Mapping[str, str], logs: Path) -> list[Command]:
    """The services in the order of the way of a message, worker and simulator last."""
    host = settings.host

    def web(name: str, factory: str, port: int, path: str) -> Command:
        serve = ["uvicorn", "--factory", factory, "--host", host, "--port", str(port), "--loop", "uvloop"]
        quiet = ["--http", "httptools", "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", KEEP_ALIVE]
        stop = ["--timeout-graceful-shutdown", str(STOP_SECONDS)]
        return command(name, [*serve, *quiet, *stop], answers(host, port, path))

    def command(name: str, arguments: list[str], ready: Callable[[], bool]) -> Command:
        return Command(
            name=name,
            argv=[sys.executable, "-m", *arguments],
            ready=ready,
            env={**env, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": ""},
            cwd=str(ROOT),
            log=logs / f"{name}.log",
        )

    return [
        web("orchestrator", "services.orchestrator.app:create_app", settings.orchestrator_port, "/readyz"),
        web("gateway", "services.channel_gateway.app:create_app", settings.gateway_port, "/readyz"),
        # The worker serves nothing; what it must have done by now, the demo's articles will tell.
        command("worker", ["arq", "services.ingestion_worker.worker.WorkerSettings"], lambda: True),
        web("simulator", "services.channel_gateway.simulator.app:create_app", settings.simulator_port, "/sent?limit=1"),
    ]


def answers(host: str, port: int, path: str) -> Callable[[], bool]:
    """A check that is true once `GET path` is answered with 200."""

    def ready() -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=4)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready
