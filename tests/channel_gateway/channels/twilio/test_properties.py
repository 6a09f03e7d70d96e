"""Mutated webhooks: never an exception but Unreadable, never a lost sibling."""

import json
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from services.channel_gateway.channels import Forged, Unreadable
from services.channel_gateway.channels.twilio import channel
from services.channel_gateway.channels.twilio.inbound import parse
from tests.channel_gateway.channels.twilio.conftest import cases, make_account, recorded, signed, webhook
from tests.contracts.channel import check_item

FORMS = [recorded("payloads", case["file"])["form"] for case in cases("expected")]
NAMES = sorted({name for form in FORMS for name in form})
VALUES = st.sampled_from(sorted({value for form in FORMS for value in form.values()})) | st.text(max_size=30)
EXAMPLES = settings(max_examples=150, deadline=None)


@st.composite
def forms(draw: st.DrawFn) -> dict[str, str]:
    """A recorded form with some fields lost, changed or added."""
    form = dict(draw(st.sampled_from(FORMS)))
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=4)):
        form.pop(name, None)
    return form | draw(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=12), VALUES, max_size=5))


@EXAMPLES
@given(form=forms())
def test_any_form_gives_one_item(form: dict[str, str]) -> None:
    request = signed(urlencode(form, errors="replace").encode())
    channel.verify(request, make_account())
    [item] = parse(request)
    check_item(item)


@EXAMPLES
@given(form=forms())
def test_item_is_the_same_each_time(form: dict[str, str]) -> None:
    body = urlencode(form, errors="replace").encode()
    assert parse(signed(body)) == parse(signed(body))


@EXAMPLES
@given(
    form=forms(),
    junk=st.dictionaries(
        st.sampled_from(NAMES), st.none() | st.booleans() | st.integers() | st.lists(st.text()), max_size=5
    ),
)
def test_broken_sibling_takes_nobody_along(form: dict[str, str], junk: dict[str, Any]) -> None:
    sound = {"MessageSid": "SM7", "From": "+12025550123", "To": "+12025550100", "Body": "hi"}
    body = json.dumps([form | junk, sound, junk]).encode()
    items = parse(webhook(body, {"Content-Type": "application/json"}))
    assert len(items) == 3
    assert items[1].message is not None
    for item in items:
        check_item(item)


@EXAMPLES
@given(
    body=st.binary(max_size=200), kind=st.sampled_from(["application/json", "application/x-www-form-urlencoded", ""])
)
def test_any_bytes_are_refused_or_read(body: bytes, kind: str) -> None:
    request = webhook(body, {"Content-Type": kind, "X-Twilio-Signature": "x"})
    try:
        channel.verify(request, make_account())
    except Forged:
        assert True
    else:
        raise AssertionError("nobody signed it")
    try:
        items = parse(request)
    except Unreadable:
        assert "json" in kind
        return
    for item in items:
        check_item(item)
