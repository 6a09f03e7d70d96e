"""A simulator on a free port, with accounts in PostgreSQL and a stand-in for the gateway."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from packages.core.config import MetaSettings, PostgresSettings
from packages.core.crypto import SecretBox
from packages.core.db.base import new_id
from packages.core.db.session import Database
from packages.core.db.tables.channels import ChannelConfig
from services.channel_gateway.simulator.app import create_app
from services.channel_gateway.simulator.settings import SimulatorSettings
from tests.channel_gateway.simulator.gateway_double import GatewayDouble
from tests.channel_gateway.simulator.serving import serving
from tests.conftest import Engines
from tests.factories.accounts import make_tenant

SECRET_KEY = "a secret key of the tests, long enough"


@dataclass(frozen=True)
class Account:
    """A channel config as a test needs it."""

    id: str
    number_id: str
    app_secret: str
    token: str

    @property
    def messages(self) -> str:
        return f"/v26.0/{self.number_id}/messages"

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


MakeAccount = Callable[..., Awaitable[Account]]


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[GatewayDouble]:
    double = GatewayDouble()
    await double.start()
    yield double
    await double.stop()


@pytest.fixture
def make_account(database: Database) -> MakeAccount:
    async def make(channel: str = "whatsapp", app_secret: str = "app-secret-1", **settings: object) -> Account:
        tenant = await make_tenant(database)
        number_id = str(new_id().int % 10**15)
        credentials = {
            "phone_number_id": number_id,
            "access_token": f"token-{number_id}",
            "app_secret": app_secret,
            "verify_token": "v",
        }
        config = ChannelConfig(
            tenant_id=tenant.tenant_id,
            brand_id=tenant.brand_id,
            channel=channel,
            name="Main line",
            account_id=number_id if channel == "whatsapp" else None,
            credentials=SecretBox(SECRET_KEY).seal(credentials),
            settings=settings,
        )
        async with database.across_tenants() as session:
            session.add(config)
        return Account(str(config.id), number_id, app_secret, str(credentials["access_token"]))

    return make


@pytest_asyncio.fixture
async def account(make_account: MakeAccount) -> Account:
    return await make_account(display_phone_number="+1 555 999 0001")


@pytest.fixture
def settings(engines: Engines, gateway: GatewayDouble, tmp_path: Path) -> SimulatorSettings:
    return SimulatorSettings(
        _env_file=None,
        data_dir=tmp_path,
        public_gateway_url=gateway.url,
        postgres=PostgresSettings(url=engines.postgres_url),
        meta=MetaSettings(app_secret=SecretStr("meta-app-secret")),
        secret_key=SecretStr(SECRET_KEY),
        simulator_first_pause=0.05,
        simulator_longest_pause=0.2,
        simulator_status_delay_ms=20,
    )


@pytest_asyncio.fixture
async def simulator(settings: SimulatorSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running simulator."""
    async with serving(create_app(settings)) as base, httpx.AsyncClient(base_url=base, timeout=20) as client:
        yield client
