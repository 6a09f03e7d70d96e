"""Twilio as simulated: its own client runs against it, and what it posts is signed as Twilio signs."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import httpx
import pytest
import pytest_asyncio
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]
from twilio.http.async_http_client import AsyncTwilioHttpClient  # type: ignore[import-untyped]
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from packages.core.crypto import SecretBox
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from packages.core.domain.channels import Channel as Config
from packages.core.domain.messages import Attachment, Template
from services.channel_gateway.channels import File
from services.channel_gateway.channels.twilio import channel
from services.channel_gateway.channels.twilio.inbound import parse
from services.channel_gateway.channels.twilio.signature import OVERRIDES
from services.channel_gateway.simulator.platforms.twilio import retries
from tests.channel_gateway.channels.twilio.conftest import cases, recorded, webhook
from tests.channel_gateway.simulator.conftest import SECRET_KEY
from tests.channel_gateway.simulator.gateway_double import GatewayDouble, Webhook, eventually
from tests.contracts.channel import part
from tests.factories.accounts import make_tenant

CUSTOMER = "+12025550123"
ON_WHATSAPP = f"whatsapp:{CUSTOMER}"
ERRORS = [case["file"] for case in cases("exchanges_expected") if case["kind"] == "outbound.error"]
ACCEPTED = [
    case["file"]
    for case in cases("exchanges_expected")
    if case["kind"] in {"outbound.text", "outbound.media", "outbound.template"}
]
MakeSender = Callable[..., Awaitable[Config]]


@pytest.fixture
def make_sender(database: Database, simulator: httpx.AsyncClient, gateway: GatewayDouble) -> MakeSender:
    """Makes Twilio channel configs; returns them as the gateway's directory does."""

    async def make(sender: str | None = None, **more: Any) -> Config:
        tenant = await make_tenant(database)
        number = f"+1202{new_id().int % 10**7:07d}"
        credentials = {
            "account_sid": f"AC{new_id().hex}",
            "auth_token": f"token-{number}",
            "from": (sender or "whatsapp:{}").format(number),
            **more,
        }
        settings: dict[str, object] = {"api_base": str(simulator.base_url).rstrip("/")}
        row = ChannelConfig(
            tenant_id=tenant.tenant_id,
            brand_id=tenant.brand_id,
            channel="twilio",
            name="Shop",
            account_id=credentials["from"],
            credentials=SecretBox(SECRET_KEY).seal(credentials),
            settings=settings,
        )
        async with database.across_tenants() as session:
            session.add(row)
        return Config(
            id=str(row.id),
            tenant_id=str(row.tenant_id),
            brand_id=str(row.brand_id),
            kind="twilio",
            name="Shop",
            account_id=credentials["from"],
            credentials=channel.Credentials.model_validate(credentials),
            settings=settings,
            webhook_url=f"{gateway.url}/webhooks/twilio/{row.id}",
        )

    return make


@pytest_asyncio.fixture
async def sender(make_sender: MakeSender) -> Config:
    return await make_sender()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def form(taken: Webhook) -> dict[str, str]:
    return dict(parse_qsl(taken.body.decode(), keep_blank_values=True))


def statuses(gateway: GatewayDouble) -> list[str]:
    return [status for taken in gateway.webhooks if (status := form(taken).get("MessageStatus"))]


async def write(simulator: httpx.AsyncClient, sender: Config, **more: Any) -> dict[str, Any]:
    body = {"text": "Hello", "from": CUSTOMER, "name": "Alex"} | more
    answer = await simulator.post(f"/simulate/twilio/{sender.id}?wait=true", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_message_arrives_as_twilio_posts_it(
    simulator: httpx.AsyncClient, sender: Config, gateway: GatewayDouble
) -> None:
    answer = await write(simulator, sender, text="Grüße ✓")
    [taken] = gateway.webhooks
    fields = form(taken)
    known = recorded("payloads", "whatsapp_text.json")["form"]
    assert set(fields) == set(known) - {"ExternalUserId"}
    assert fields["MessageSid"] == answer["external_ids"][0]
    assert (fields["From"], fields["To"], fields["Body"]) == (ON_WHATSAPP, sender.account_id, "Grüße ✓")
    validator = RequestValidator(sender.credentials.auth_token.get_secret_value())
    assert validator.validate(sender.webhook_url, fields, taken.headers["X-Twilio-Signature"])
    channel.verify(webhook(taken.body, taken.headers, sender.webhook_url), sender)


async def test_sms_has_the_parameters_of_an_sms(
    simulator: httpx.AsyncClient, make_sender: MakeSender, gateway: GatewayDouble
) -> None:
    sender = await make_sender("{}")
    await write(simulator, sender, **{"from": "+1 (202) 555-0123"})
    fields = form(gateway.webhooks[0])
    assert (fields["From"], "ProfileName" in fields, fields["ToCountry"]) == (CUSTOMER, False, "US")


@pytest.mark.parametrize("key", [{}, {"signing_key_id": "key1", "signing_key_secret": "secret1"}])
@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
async def test_each_way_of_signing_passes_the_channel(
    simulator: httpx.AsyncClient,
    make_sender: MakeSender,
    gateway: GatewayDouble,
    key: dict[str, str],
    headers: dict[str, str],
) -> None:
    sender = await make_sender(**key)
    await write(simulator, sender, headers=headers)
    [taken] = gateway.webhooks
    query = f"?bodySHA256={taken.query['bodySHA256']}" if taken.query else ""
    request = webhook(taken.body, taken.headers, sender.webhook_url + query)
    channel.verify(request, sender)
    [item] = parse(request)
    assert item.message is not None
    assert (item.message.text, item.account_id) == ("Hello", sender.account_id)


async def test_forged_message_is_signed_by_somebody_else(
    simulator: httpx.AsyncClient, sender: Config, gateway: GatewayDouble
) -> None:
    gateway.answers = [401]
    await write(simulator, sender, forged=True)
    [taken] = gateway.webhooks
    validator = RequestValidator(sender.credentials.auth_token.get_secret_value())
    assert not validator.validate(sender.webhook_url, form(taken), taken.headers["X-Twilio-Signature"])


async def test_answer_of_any_kind_ends_it(simulator: httpx.AsyncClient, sender: Config, gateway: GatewayDouble) -> None:
    gateway.answers = [503, 503]
    await write(simulator, sender)
    await asyncio.sleep(0.3)
    assert len(gateway.webhooks) == 1
    assert (await simulator.get("/pending")).json() == {"pending": 0}


async def test_connection_failure_is_repeated_once(
    simulator: httpx.AsyncClient, sender: Config, gateway: GatewayDouble
) -> None:
    await gateway.stop()
    await write(simulator, sender)
    for _ in range(100):
        if (await simulator.get("/pending")).json() == {"pending": 0}:
            break
        await asyncio.sleep(0.02)
    await gateway.start()
    await asyncio.sleep(0.3)
    assert gateway.webhooks == []


async def test_connected_sender_loses_nothing_while_the_gateway_stumbles(
    simulator: httpx.AsyncClient, sender: Config, gateway: GatewayDouble, http: aiohttp.ClientSession
) -> None:
    findings = await channel.connect(sender, http)
    assert {finding.check: finding.level for finding in findings}["webhook"] == "ok"
    gateway.answers = [503, 401, 500]
    await write(simulator, sender)
    await eventually(lambda: len(gateway.webhooks) == 4)
    assert len({taken.body for taken in gateway.webhooks}) == 1


@pytest.mark.parametrize(
    ("fragment", "attempts", "status", "reason", "done"),
    [
        ("", 0, 200, "", True),
        ("", 0, 500, "", True),
        ("", 0, None, "ClientConnectorError: refused", False),
        ("", 1, None, "ClientConnectorError: refused", True),
        ("", 0, None, "TimeoutError: ", True),
        (OVERRIDES, 4, 500, "", False),
        (OVERRIDES, 5, 500, "", True),
        ("#rc=2&rp=5xx", 0, 404, "", True),
        ("#rc=2&rp=5xx,rt", 1, None, "TimeoutError: ", False),
        ("#rc=2", 1, None, "ClientOSError: ", False),
        ("#rc=99&rp=all", 5, 500, "", True),
        ("#rc=x&rp=4xx", 0, 404, "", False),
    ],
)
def test_when_twilio_repeats(fragment: str, attempts: int, status: int | None, reason: str, done: bool) -> None:
    assert retries.done(f"https://x.example/hook{fragment}", attempts, status, reason) is done


async def test_message_goes_out_and_is_reported(
    simulator: httpx.AsyncClient, sender: Config, gateway: GatewayDouble, http: aiohttp.ClientSession
) -> None:
    await write(simulator, sender)
    gateway.webhooks.clear()
    result = await channel.send(part("Hi there", ON_WHATSAPP), sender, http)
    assert result.outcome == "sent"
    [item] = (await simulator.get("/sent")).json()["items"]
    assert (item["to"], item["text"], item["message_id"]) == (ON_WHATSAPP, "Hi there", part().correlation_id)
    assert item["external_id"] == result.external_id
    await eventually(lambda: len(gateway.webhooks) == 3)
    assert statuses(gateway) == ["sent", "delivered", "read"]
    for taken in gateway.webhooks:
        request = webhook(taken.body, taken.headers, f"{sender.webhook_url}?message_id={taken.query['message_id']}")
        channel.verify(request, sender)
        [status] = parse(request)
        assert status.status is not None
        assert (status.status.external_id, status.status.correlation_id) == (result.external_id, part().correlation_id)


async def test_sms_is_never_read(
    simulator: httpx.AsyncClient, make_sender: MakeSender, gateway: GatewayDouble, http: aiohttp.ClientSession
) -> None:
    sender = await make_sender("{}")
    assert (await channel.send(part("Hi", CUSTOMER), sender, http)).outcome == "sent"
    await eventually(lambda: len(gateway.webhooks) == 2)
    await asyncio.sleep(0.1)
    assert statuses(gateway) == ["sent", "delivered"]


async def test_window_is_told_by_callback(
    simulator: httpx.AsyncClient, sender: Config, gateway: GatewayDouble, http: aiohttp.ClientSession
) -> None:
    assert (await channel.send(part("Hi", ON_WHATSAPP), sender, http)).outcome == "sent"
    await eventually(lambda: gateway.webhooks)
    assert (statuses(gateway), form(gateway.webhooks[0])["ErrorCode"]) == (["failed"], "63016")
    gateway.webhooks.clear()
    template = part("", ON_WHATSAPP, template=Template(name="HX" + "1" * 32, body=("Alex",)))
    assert (await channel.send(template, sender, http)).outcome == "sent"
    await eventually(lambda: len(gateway.webhooks) == 3)
    assert statuses(gateway) == ["sent", "delivered", "read"]


async def order_fault(simulator: httpx.AsyncClient, **faults: Any) -> None:
    answer = await simulator.put("/faults", json={"channel": "twilio", **faults})
    assert answer.status_code == 200


@pytest.mark.parametrize("file", ERRORS)
async def test_ordered_error_is_twilios_own(
    simulator: httpx.AsyncClient, sender: Config, http: aiohttp.ClientSession, file: str
) -> None:
    expected = recorded("exchanges", file)["response"]
    await order_fault(simulator, errors={str(expected["json"]["code"]): 1})
    answer = await simulator.post(
        f"/2010-04-01/Accounts/{sender.credentials.account_sid}/Messages.json",
        data={"To": ON_WHATSAPP, "From": str(sender.account_id), "Body": "x"},
        auth=(sender.credentials.account_sid, sender.credentials.auth_token.get_secret_value()),
    )
    answered = answer.json()
    if expected["json"]["code"] in {21211, 21614, 21617, 63007}:  # recorded in a shortened wording
        answered["message"] = expected["json"]["message"]
    assert (answer.status_code, answered) == (expected["status"], expected["json"])


@pytest.mark.parametrize("file", ACCEPTED)
async def test_recorded_request_gets_the_recorded_answer(
    simulator: httpx.AsyncClient, make_sender: MakeSender, file: str
) -> None:
    exchange = recorded("exchanges", file)
    wanted = dict(exchange["request"]["form"])
    sender = await make_sender("MG" + new_id().hex if "MessagingServiceSid" in wanted else None)
    wanted["MessagingServiceSid" if "MessagingServiceSid" in wanted else "From"] = sender.account_id
    sid = sender.credentials.account_sid
    auth = (sid, sender.credentials.auth_token.get_secret_value())
    answer = await simulator.post(f"/2010-04-01/Accounts/{sid}/Messages.json", data=wanted, auth=auth)
    expected, answered = exchange["response"]["json"], answer.json()
    assert answer.status_code == exchange["response"]["status"]
    assert set(answered) == set(expected)
    same = ("status", "num_media", "direction", "to", "error_code", "price_unit", "api_version")
    assert {name: answered[name] for name in same} == {name: expected[name] for name in same}
    assert (answered["from"] is None) == (expected["from"] is None)


@pytest.mark.parametrize("code", [63018, 30003, 63024])
async def test_error_by_callback(
    simulator: httpx.AsyncClient, sender: Config, gateway: GatewayDouble, http: aiohttp.ClientSession, code: int
) -> None:
    await order_fault(simulator, errors={str(code): 1})
    assert (await channel.send(part("Hi", ON_WHATSAPP), sender, http)).outcome == "sent"
    await eventually(lambda: gateway.webhooks)
    fields = form(gateway.webhooks[0])
    assert fields["ErrorCode"] == str(code)
    assert fields["MessageStatus"] == ("failed" if code == 63018 else "undelivered")


@pytest.mark.parametrize(
    ("fault", "outcome", "kept"),
    [
        ("rate_429", "retry", 0),
        ("rate_500", "retry", 0),
        ("rate_502", "retry", 0),
        ("rate_reset", "in_doubt", 0),
        ("rate_reset_after", "in_doubt", 1),
    ],
)
async def test_fault_and_what_can_be_found_after_it(
    simulator: httpx.AsyncClient, sender: Config, http: aiohttp.ClientSession, fault: str, outcome: str, kept: int
) -> None:
    await order_fault(simulator, **{fault: 1})
    sent = part("Hi there", ON_WHATSAPP, message_id=str(new_id()))
    assert (await channel.send(sent, sender, http)).outcome == outcome
    found = await channel.find(sent, sender, http)
    items = (await simulator.get("/sent")).json()["items"]
    assert len(items) == kept
    assert (found and found.external_id) == (items[0]["external_id"] if items else None)


async def test_earlier_message_of_equal_text_is_not_taken_for_it(
    simulator: httpx.AsyncClient, sender: Config, http: aiohttp.ClientSession
) -> None:
    await channel.send(part("Hi there", ON_WHATSAPP), sender, http)
    await asyncio.sleep(1.1)  # Twilio counts whole seconds
    assert await channel.find(part("Hi there", ON_WHATSAPP, message_id=str(new_id())), sender, http) is None


async def deliver(sender: Config, http: aiohttp.ClientSession, text: str) -> int:
    """Send until it is there, as the sender does: a lost answer is looked up before a repeat. Returns the attempts."""
    sent = part(text, ON_WHATSAPP, message_id=str(new_id()))
    for attempt in range(1, 30):
        result = await channel.send(sent, sender, http)
        if result.outcome == "in_doubt":
            result = await channel.find(sent, sender, http) or result
        if result.outcome == "sent":
            return attempt
    raise AssertionError("it never arrived")


async def test_nothing_is_lost_or_doubled_by_a_fifth_of_faults(
    simulator: httpx.AsyncClient, sender: Config, http: aiohttp.ClientSession
) -> None:
    await order_fault(simulator, rate_429=0.05, rate_500=0.05, rate_reset=0.05, rate_reset_after=0.05)
    texts = [f"Message {number}" for number in range(40)]
    attempts = await asyncio.gather(*(deliver(sender, http, text) for text in texts))
    items = (await simulator.get("/sent")).json()["items"]
    assert sorted(item["text"] for item in items) == sorted(texts)
    assert sum(attempts) >= len(texts)


def sdk(simulator: httpx.AsyncClient, sender: Config, token: str | None = None) -> Client:
    """Twilio's client with its own HTTP client, sent to the simulator."""
    secret = token or sender.credentials.auth_token.get_secret_value()
    transport = AsyncTwilioHttpClient(timeout=5)
    client = Client(sender.credentials.account_sid, secret, http_client=transport)
    for host in (client.api, client.messaging, client.content):
        host.base_url = str(simulator.base_url).rstrip("/")
    return client


async def test_twilios_own_client_runs_unchanged(simulator: httpx.AsyncClient, make_sender: MakeSender) -> None:
    sender = await make_sender("{}")
    client = sdk(simulator, sender)
    async with client.http_client:
        message = await client.messages.create_async(to=CUSTOMER, from_=sender.account_id, body="hello")
        assert (message.sid[:2], message.status, message.error_code) == ("SM", "queued", None)
        [listed] = await client.messages.list_async(to=CUSTOMER, limit=5)
        assert (listed.sid, listed.body) == (message.sid, "hello")
        assert (await client.api.accounts(sender.credentials.account_sid).fetch_async()).status == "active"
        [number] = await client.incoming_phone_numbers.list_async(phone_number=sender.account_id, limit=1)
        changed = await number.update_async(sms_url="https://x.example/hook", sms_method="POST")
        assert changed.sms_url == "https://x.example/hook"


async def test_twilios_own_client_hears_of_errors(simulator: httpx.AsyncClient, sender: Config) -> None:
    client = sdk(simulator, sender, "wrong")
    async with client.http_client:
        with pytest.raises(TwilioRestException) as caught:
            await client.messages.create_async(to=CUSTOMER, from_=sender.account_id, body="hello")
    assert (caught.value.status, caught.value.code) == (401, 20003)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "12"}, 21211),
        ({"To": "whatsapp:hello"}, 21211),
        ({"To": CUSTOMER}, 21612),
        ({"From": ""}, 21603),
        ({"From": "whatsapp:+15005550001"}, 63007),
        ({"From": "+15005550001"}, 21606),
        ({"From": "", "MessagingServiceSid": "MG1"}, 21701),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"MediaUrl": ["https://a.example/1", "https://a.example/2"]}, 21623),
        ({"MediaUrl": "not a url"}, 21620),
        ({"StatusCallback": "not a url"}, 21609),
        ({"ContentSid": "HX1"}, 20001),
        ({"ContentSid": "HX" + "0" * 32, "ContentVariables": "{"}, 21656),
        ({"ContentSid": "HX" + "0" * 32, "ContentVariables": '{"1": 2}'}, 21656),
    ],
)
async def test_invalid_message_is_refused(
    simulator: httpx.AsyncClient, sender: Config, change: dict[str, Any], code: int
) -> None:
    sid = sender.credentials.account_sid
    base: dict[str, Any] = {"To": ON_WHATSAPP, "From": sender.account_id, "Body": "x"}
    auth = (sid, sender.credentials.auth_token.get_secret_value())
    answer = await simulator.post(f"/2010-04-01/Accounts/{sid}/Messages.json", data=base | change, auth=auth)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (await simulator.get("/sent")).json()["items"] == []


@pytest.mark.parametrize("authorization", ["", "Bearer x", "Basic !", "Basic eA==", "Basic eDp5"])
async def test_without_credentials_nothing_is_told(
    simulator: httpx.AsyncClient, sender: Config, authorization: str
) -> None:
    for path in (".json", "/Messages.json", "/IncomingPhoneNumbers.json", "/Messages/SM1/Media/ME1"):
        answer = await simulator.get(
            f"/2010-04-01/Accounts/{sender.credentials.account_sid}{path}", headers={"Authorization": authorization}
        )
        assert (answer.status_code, answer.json()["code"]) == (401, 20003)


async def test_picture_is_fetched_through_a_redirect(
    simulator: httpx.AsyncClient, sender: Config, gateway: GatewayDouble, http: aiohttp.ClientSession
) -> None:
    content = base64.b64encode(b"a picture").decode()
    await write(simulator, sender, text="Look", message={"MediaContentType0": "image/png", "MediaContent0": content})
    fields = form(gateway.webhooks[0])
    assert (fields["NumMedia"], fields["MessageType"], fields["Body"]) == ("1", "image", "Look")
    assert fields["MediaUrl0"].startswith("https://api.twilio.com/2010-04-01/Accounts/")
    attachment = Attachment(kind="image", url=fields["MediaUrl0"], media_type="image/png")
    async with channel.download(attachment, sender, http) as download:
        assert b"".join([chunk async for chunk in download.chunks]) == b"a picture"


async def test_file_is_sent_by_its_address(
    simulator: httpx.AsyncClient, sender: Config, http: aiohttp.ClientSession
) -> None:
    async def read() -> bytes:
        return b""

    url = "https://cdn.example.com/a.jpg"
    file = File(kind="image", media_type="image/jpeg", filename="a.jpg", size=1, url=url, read=read)
    assert (await channel.send(part("", ON_WHATSAPP, file=file), sender, http)).outcome == "sent"
    [item] = (await simulator.get("/sent")).json()["items"]
    assert item["payload"]["MediaUrl"] == [url]


@pytest.mark.parametrize("kind", ["{}", "whatsapp:{}", "55555", "MG" + "1" * 32])
async def test_setup_and_diagnosis(
    simulator: httpx.AsyncClient, make_sender: MakeSender, http: aiohttp.ClientSession, kind: str
) -> None:
    sender = await make_sender(kind)
    before = {finding.check: finding.level for finding in await channel.diagnose(sender, http)}
    assert (before["token"], before["webhook"]) == ("ok", "error")
    await channel.connect(sender, http)
    after = {finding.check: finding.level for finding in await channel.diagnose(sender, http)}
    assert (after["token"], after["webhook"], after["reachable"]) == ("ok", "ok", "ok")
    await channel.disconnect(sender, http)
    ended = {finding.check: finding.level for finding in await channel.diagnose(sender, http)}
    assert ended["webhook"] == "error"


async def test_wrong_token_is_a_definite_error(make_sender: MakeSender, http: aiohttp.ClientSession) -> None:
    sender = await make_sender()
    wrong = sender.credentials.model_copy(update={"auth_token": type(sender.credentials.auth_token)("wrong")})
    [finding] = await channel.connect(replace(sender, credentials=wrong), http)
    assert (finding.check, finding.level, finding.definite) == ("token", "error", True)


async def test_json_body_is_not_a_form(simulator: httpx.AsyncClient, sender: Config, gateway: GatewayDouble) -> None:
    await write(simulator, sender, headers={"Content-Type": "application/json"})
    assert json.loads(gateway.webhooks[0].body)["Body"] == "Hello"
