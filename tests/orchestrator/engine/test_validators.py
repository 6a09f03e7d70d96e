"""guardrails-ai in a process of its own, because it is heavy: what it fixes, and that it calls nobody."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SCRIPT = """
import socket, threading
calls = []
socket.getaddrinfo = lambda *arguments, **_: calls.append(("dns", arguments)) or []
socket.socket.connect = lambda self, address: calls.append(("connect", address))
socket.create_connection = lambda address, *_, **__: calls.append(("connect", address))

from services.orchestrator.engine.guardrails import load_reply_guard

guard = load_reply_guard()
print(guard.fix("Mail bob@example.com, or this shit fails.", (), "US"))
print(guard.fix("Mail help@brand.example.", ("Our address is help@brand.example.",), "US"))
for _ in range(30):
    guard.fix("Nothing to see here.", (), "US")
print(calls, threading.active_count() < 10)
"""


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """What the script printed: its process ends at once, since no exporter holds it up."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=90, check=True
    )
    return done.stdout.strip().splitlines()


def test_what_a_policy_finds_is_fixed(lines: list[str]) -> None:
    assert lines[0] == "Mail [email], or this s*** fails."


def test_what_a_source_publishes_stays(lines: list[str]) -> None:
    assert lines[1] == "Mail help@brand.example."


def test_no_network_and_no_thread_per_validation(lines: list[str]) -> None:
    assert lines[2] == "[] True"
