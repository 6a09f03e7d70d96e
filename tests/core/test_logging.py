import json
import subprocess
import sys
from typing import Any

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from packages.core.logging import REDACTED, add_trace_ids, bound, redact_secrets
from tests.conftest import ROOT

SCRIPT = """
import logging
import structlog
from packages.core.logging import bound, configure
configure("tester", "info", FORMAT)
log = structlog.get_logger("ours")
log.debug("hidden")
log.info("plain", number=1)
with bound(tenant_id=7, conversation_id="c"):
    log.warning("inside", password="hunter2")
    logging.getLogger("theirs").warning("from a %s with Bearer abcdefghijkl", "library")
    logging.getLogger("theirs").info("chatter of a library")
log.info("outside")
try:
    raise ValueError("postgresql://user:hunter2@host/db")
except ValueError:
    log.exception("crashed")
"""


def run(fmt: str) -> list[str]:
    """Lines that a process of its own logs: `configure` is for a whole process."""
    script = SCRIPT.replace("FORMAT", repr(fmt))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("json")]


def named(lines: list[dict[str, Any]], event: str) -> dict[str, Any]:
    return next(line for line in lines if line["event"].startswith(event))


class TestLines:
    def test_are_json_with_service_level_and_time(self, lines: list[dict[str, Any]]) -> None:
        line = named(lines, "plain")
        assert (line["service"], line["level"], line["number"]) == ("tester", "info", 1)
        assert line["timestamp"].endswith("Z")

    def test_below_the_level_do_not_appear(self, lines: list[dict[str, Any]]) -> None:
        assert not [line for line in lines if line["event"] == "hidden"]

    def test_carry_the_bound_ids(self, lines: list[dict[str, Any]]) -> None:
        line = named(lines, "inside")
        assert (line["tenant_id"], line["conversation_id"]) == ("7", "c")

    def test_lose_the_ids_after_the_block(self, lines: list[dict[str, Any]]) -> None:
        assert "tenant_id" not in named(lines, "outside")

    def test_of_libraries_look_alike(self, lines: list[dict[str, Any]]) -> None:
        line = named(lines, "from a library")
        assert (line["service"], line["level"], line["tenant_id"]) == ("tester", "warning", "7")

    def test_of_libraries_hide_secrets_too(self, lines: list[dict[str, Any]]) -> None:
        assert named(lines, "from a library")["event"] == f"from a library with {REDACTED}"

    def test_leave_out_the_chatter_of_libraries(self, lines: list[dict[str, Any]]) -> None:
        assert not [line for line in lines if "chatter" in line["event"]]

    def test_show_tracebacks_without_secrets(self, lines: list[dict[str, Any]]) -> None:
        exception = named(lines, "crashed")["exception"]
        assert "ValueError" in exception
        assert "hunter2" not in json.dumps(lines)

    def test_are_for_people_on_a_console(self) -> None:
        lines = run("console")
        assert any("plain" in line and "number=1" in line for line in lines)
        assert not any(line.startswith("{") for line in lines)


class TestRedaction:
    @pytest.mark.parametrize(
        "name",
        [
            "password",
            "admin_password",
            "access_token",
            "Authorization",
            "api_key",
            "apikey",
            "app_secret",
            "set-cookie",
        ],
    )
    def test_hides_a_value_by_its_name(self, name: str) -> None:
        assert redact_secrets(None, "", {name: "x"})[name] == REDACTED

    @pytest.mark.parametrize("name", ["token_count", "tokens", "max_tokens", "message", "keyboard"])
    def test_shows_what_only_sounds_like_a_secret(self, name: str) -> None:
        assert redact_secrets(None, "", {name: 12})[name] == 12

    @pytest.mark.parametrize(
        "secret",
        [
            "Bearer abcdefgh12345678",
            "basic dXNlcjpwYXNzd29yZA==",
            "sk-abcdefghijklmnop",
            "pk_abcdefghijklmnop",
            "EAAGm0PX4ZCpsBAabcdefghijk",
            "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX",
            "eyJhbGciOi.eyJzdWIiOi.SflKxwRJSMeKKF2QT4",
        ],
    )
    def test_hides_a_value_by_its_form(self, secret: str) -> None:
        shown = redact_secrets(None, "", {"event": f"sent {secret} away"})["event"]
        assert shown == f"sent {REDACTED} away"

    def test_keeps_the_rest_of_a_url(self) -> None:
        shown = redact_secrets(None, "", {"url": "redis://:hunter2@host:6379/0"})["url"]
        assert shown == f"redis://{REDACTED}@host:6379/0"

    def test_looks_at_any_depth(self) -> None:
        event = {"request": {"headers": [{"authorization": "x"}], "body": ("Bearer abcdefgh1234", 5)}}
        shown = redact_secrets(None, "", dict(event))["request"]
        assert shown == {"headers": [{"authorization": REDACTED}], "body": [REDACTED, 5]}

    def test_does_not_change_what_was_logged(self) -> None:
        headers = {"authorization": "x"}
        redact_secrets(None, "", {"headers": headers})
        assert headers == {"authorization": "x"}


class TestTraceIds:
    def test_are_those_of_the_current_span(self) -> None:
        with TracerProvider().get_tracer("test").start_as_current_span("work") as span:
            event = add_trace_ids(None, "", {})
        context = span.get_span_context()
        assert event == {
            "trace_id": trace.format_trace_id(context.trace_id),
            "span_id": trace.format_span_id(context.span_id),
        }

    def test_are_absent_outside_a_span(self) -> None:
        assert add_trace_ids(None, "", {}) == {}


class TestBound:
    def test_inner_ids_give_way_to_the_outer_ones(self) -> None:
        with bound(tenant_id="outer"):
            with bound(tenant_id="inner"):
                assert structlog.contextvars.get_contextvars()["tenant_id"] == "inner"
            assert structlog.contextvars.get_contextvars()["tenant_id"] == "outer"

    def test_are_gone_after_an_error(self) -> None:
        with pytest.raises(KeyError), bound(request_id="r"):
            raise KeyError
        assert "request_id" not in structlog.contextvars.get_contextvars()
