"""Messages as the requests they take."""

from packages.core.domain.channels import Capabilities
from services.channel_gateway.composition import compose
from tests.contracts.channel import MESSAGE_ID, outbound

PLAIN = Capabilities(label="Plain", text_limit=4096)


def test_sources_follow_the_text() -> None:
    citations = ({"title": "Shipping", "location": {"page": 3}}, {"title": "Returns", "location": {}})
    (only,) = compose(outbound("In two days.", citations=citations), PLAIN)
    assert only.text == "In two days.\n\nSources:\n[1] Shipping, p. 3\n[2] Returns"


def test_long_text_takes_several_parts_that_can_be_told_apart() -> None:
    text = " ".join(f"This is sentence number {number}." for number in range(300))
    composed = compose(outbound(text, reply_to="wamid.question"), PLAIN)
    assert " ".join(part.text for part in composed) == text
    assert all(len(part.text) <= 4096 for part in composed)
    assert [part.correlation_id for part in composed] == [MESSAGE_ID, f"{MESSAGE_ID}:1", f"{MESSAGE_ID}:2"]
    assert [part.reply_to for part in composed] == ["wamid.question", None, None]
