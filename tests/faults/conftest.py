"""One product for all fault tests, with two tenants whose WhatsApp numbers belong to one Meta app."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from tests.product import API, Product, make_brand

APP_SECRET = "one-meta-app-for-both"
ARTICLE = Path(__file__).parent.parent / "data" / "knowledge" / "forgot-your-password.md"
ARTICLE_TEXT = ARTICLE.read_text()


@dataclass(frozen=True)
class Stage:
    """The product and its two tenants."""

    product: Product
    first: dict[str, str]
    second: dict[str, str]


def _folder() -> Path:
    """A folder that the unprivileged user of the embedded PostgreSQL can reach."""
    folder = Path(tempfile.mkdtemp(prefix="parley-faults-"))
    folder.chmod(0o755)
    return folder


@pytest_asyncio.fixture(scope="session")
async def stage() -> AsyncIterator[Stage]:
    """Everything started, one article known to the first tenant."""
    folder = _folder()
    product = Product(folder / "data", PARLEY_TURN__DEBOUNCE_SECONDS="1.1")
    product.start()
    first = await make_brand(product, "first", app_secret=APP_SECRET, phone_number_id="100000000000101")
    second = await make_brand(product, "second", app_secret=APP_SECRET, phone_number_id="100000000000202")
    api = API(product.url("orchestrator"))
    await api.log_in(first["email"], first["password"])
    article = {"title": "Forgot your password", "text": ARTICLE_TEXT}
    await api.post(f"/v1/brands/{first['brand']}/knowledge", article)
    await api.client.aclose()
    yield Stage(product, first, second)
    product.stop()
    shutil.rmtree(folder, ignore_errors=True)
