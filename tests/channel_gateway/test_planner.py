"""One planner for all authors: windows, tags, templates, holding."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from packages.core.domain.channels import Capabilities
from packages.core.domain.messages import Attachment, Reaction, Template
from services.channel_gateway.planner import Fallback, Go, Hold, Plan, plan
from tests.contracts.channel import outbound

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WHATSAPP = Capabilities(label="WhatsApp", text_limit=4096, window_hours=24, templates=True)
INSTAGRAM = Capabilities(label="Instagram", text_limit=1000, window_hours=24, agent_window_hours=168)
TELEGRAM = Capabilities(label="Telegram", text_limit=4096)
FALLBACK = {"template_fallback": {"name": "we_answered", "language": "de"}}


def planned(
    rules: Capabilities,
    hours: float | None,
    author: str = "bot",
    settings: dict[str, Any] | None = None,
    *,
    window_closed: bool = False,
    parts_sent: int = 0,
    **response: Any,
) -> Plan:
    heard = NOW - timedelta(hours=hours) if hours is not None else None
    message = outbound(author=author, **response)
    return plan(
        message, rules, settings or {}, heard_at=heard, now=NOW, window_closed=window_closed, parts_sent=parts_sent
    )


@pytest.mark.parametrize("author", ["bot", "agent", "system"])
@pytest.mark.parametrize(
    ("rules", "hours", "goes"),
    [
        (TELEGRAM, None, True),
        (TELEGRAM, 9999, True),
        (WHATSAPP, 23.99, True),
        (WHATSAPP, 24, False),
        (WHATSAPP, None, False),
        (INSTAGRAM, 23.99, True),
        (INSTAGRAM, 168, False),
    ],
)
def test_the_same_for_everybody(author: str, rules: Capabilities, hours: float | None, goes: bool) -> None:
    assert isinstance(planned(rules, hours, author), Go if goes else Hold)


@pytest.mark.parametrize(
    ("author", "settings", "wanted"),
    [("agent", {}, Go(outside_window=True)), ("bot", {}, None), ("system", {}, None),
     ("agent", {"human_agent": False}, None)],
)  # fmt: skip
def test_only_people_answer_for_a_week(author: str, settings: dict[str, Any], wanted: Plan | None) -> None:
    found = planned(INSTAGRAM, 100, author, settings)
    assert found == wanted if wanted else isinstance(found, Hold)


def test_the_reason_is_for_people() -> None:
    found = planned(WHATSAPP, 30)
    assert isinstance(found, Hold)
    assert "cannot be delivered until the customer writes again" in found.reason
    assert "24 hours" in found.reason


class TestFallback:
    def test_the_text_is_the_first_parameter(self) -> None:
        found = planned(WHATSAPP, 30, settings=FALLBACK, text="Line one\n\n  line   two")
        assert found == Fallback(Template(name="we_answered", language="de", body=("Line one line two",)))

    def test_one_without_parameters(self) -> None:
        settings = {"template_fallback": {"name": "hello", "parameters": 0}}
        assert planned(WHATSAPP, 30, settings=settings) == Fallback(Template(name="hello"))

    @pytest.mark.parametrize(
        ("rules", "more"),
        [
            (INSTAGRAM, {}),
            (WHATSAPP, {"text": ""}),
            (WHATSAPP, {"attachments": (Attachment(kind="image"),)}),
            (WHATSAPP, {"reaction": Reaction(target="x")}),
            (WHATSAPP, {"parts_sent": 1}),
        ],
    )
    def test_not_for_what_a_template_cannot_carry(self, rules: Capabilities, more: dict[str, Any]) -> None:
        assert isinstance(planned(rules, 200, settings=FALLBACK, **more), Hold)

    @pytest.mark.parametrize("stated", [None, "name", {}, {"name": ""}])
    def test_settings_that_name_none(self, stated: object) -> None:
        assert isinstance(planned(WHATSAPP, 30, settings={"template_fallback": stated}), Hold)


def test_templates_know_no_window() -> None:
    assert planned(WHATSAPP, None, template=Template(name="x")) == Go()


@pytest.mark.parametrize(("settings", "kind"), [({}, Hold), (FALLBACK, Fallback)])
def test_the_platforms_word_outweighs_the_clock(settings: dict[str, Any], kind: type) -> None:
    assert isinstance(planned(WHATSAPP, 1, settings=settings, window_closed=True), kind)
