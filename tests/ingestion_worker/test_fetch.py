import gzip
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.ingestion_worker.fetch import FetchFailed, fetch
from services.ingestion_worker.settings import FetchSettings
from services.local.engines import free_port
from tests.ingestion_worker.websites import Website, answer, serving

LOCAL = FetchSettings(max_bytes=10_000, total_seconds=2, max_redirects=3, allowed_hosts=frozenset({"127.0.0.1"}))


def dawdle(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(100):
        request.wfile.write(b".")
        request.wfile.flush()
        time.sleep(0.1)


def break_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b"only this")


@pytest.fixture(scope="module")
def site() -> Iterator[Website]:
    zipped = gzip.compress(b"a" * 5_000)
    pages = {
        "/page.md?x=1": answer(b"# Hello", Content_Type="Text/Markdown; charset=utf-8"),
        "/untyped": answer(b"plain"),
        "/zipped": answer(zipped, Content_Type="text/plain", Content_Encoding="gzip"),
        "/bomb": answer(gzip.compress(b"a" * 5_000_000), Content_Encoding="gzip"),
        "/brotli": answer(b"???", Content_Encoding="br"),
        "/announced": answer(b"", Content_Length="10001"),
        "/endless": answer(b"a" * 50_000),
        "/slow": dawdle,
        "/broken": break_off,
        "/moved": answer(b"", status=301, Location="/page.md?x=1"),
        "/loop": answer(b"", status=302, Location="/loop"),
        "/inwards": answer(b"", status=302, Location="http://localhost:1/secret"),
        "/metadata": answer(b"", status=307, Location="http://169.254.169.254/latest/meta-data/"),
        "/file": answer(b"", status=302, Location="file:///etc/passwd"),
        **{f"/status/{status}": answer(b"", status=status) for status in (204, 401, 403, 404, 410, 418, 429, 500, 503)},
    }
    with serving(pages) as site:
        yield site


async def test_downloads_a_page(site: Website) -> None:
    page = await fetch(site.url("/page.md?x=1"), LOCAL)
    assert (page.data, page.media_type, page.filename) == (b"# Hello", "text/markdown", "page.md")


async def test_a_page_without_a_type_is_bytes(site: Website) -> None:
    assert (await fetch(site.url("/untyped"), LOCAL)).media_type == "application/octet-stream"


async def test_decompresses(site: Website) -> None:
    assert (await fetch(site.url("/zipped"), LOCAL)).data == b"a" * 5_000


async def test_follows_a_redirect(site: Website) -> None:
    page = await fetch(site.url("/moved"), LOCAL)
    assert (page.data, page.filename) == (b"# Hello", "page.md")


async def test_asks_by_the_hosts_name(site: Website) -> None:
    by_name = LOCAL.model_copy(update={"allowed_hosts": frozenset({"localhost"})})
    await fetch(site.url("/untyped", host="localhost"), by_name)
    assert site.hosts_asked_for[-1] == f"localhost:{site.port}"


@pytest.mark.parametrize(
    ("path", "code", "retryable"),
    [
        ("/announced", "too_large", False),
        ("/endless", "too_large", False),
        ("/bomb", "too_large", False),
        ("/brotli", "bad_encoding", False),
        ("/slow", "fetch_timeout", True),
        ("/broken", "fetch_failed", True),
        ("/loop", "too_many_redirects", False),
        ("/inwards", "forbidden_address", False),
        ("/metadata", "forbidden_address", False),
        ("/file", "bad_url", False),
        ("/status/204", "http_204", False),
        ("/status/401", "http_401", False),
        ("/status/403", "http_403", False),
        ("/status/404", "http_404", False),
        ("/status/410", "http_410", False),
        ("/status/418", "http_418", False),
        ("/status/429", "http_429", True),
        ("/status/500", "http_500", True),
        ("/status/503", "http_503", True),
    ],
)
async def test_says_why_a_page_cannot_be_had(site: Website, path: str, code: str, retryable: bool) -> None:
    with pytest.raises(FetchFailed) as failed:
        await fetch(site.url(path), LOCAL)
    assert (failed.value.code, failed.value.retryable) == (code, retryable)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "file:///etc/passwd",
        "http://",
        "//example.com",
        "http://user:pw@example.com/",
        "http://[::1",
        "x",
    ],
)
async def test_refuses_what_is_not_a_web_address(url: str) -> None:
    with pytest.raises(FetchFailed) as failed:
        await fetch(url, LOCAL)
    assert (failed.value.code, failed.value.retryable) == ("bad_url", False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1"]
)
async def test_refuses_private_addresses_by_default(site: Website, host: str) -> None:
    asked_before = len(site.hosts_asked_for)
    with pytest.raises(FetchFailed) as failed:
        await fetch(site.url("/untyped", host=host), FetchSettings(total_seconds=2))
    assert failed.value.code == "forbidden_address"
    assert len(site.hosts_asked_for) == asked_before


async def test_a_server_that_is_away_may_come_back() -> None:
    with pytest.raises(FetchFailed) as failed:
        await fetch(f"http://127.0.0.1:{free_port()}/", LOCAL)
    assert failed.value.retryable


async def test_a_name_that_does_not_resolve_may_come_to() -> None:
    with pytest.raises(FetchFailed) as failed:
        await fetch("http://no-such-host.invalid/", LOCAL)
    assert (failed.value.code, failed.value.retryable) == ("unknown_host", True)


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


async def test_tls_names_the_host_and_trusts_no_stranger(tmp_path: Path) -> None:
    context = self_signed(tmp_path)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    by_name = LOCAL.model_copy(update={"allowed_hosts": frozenset({"localhost"})})
    with serving({"/": answer(b"secret")}, tls=context) as site, pytest.raises(FetchFailed, match="certificate"):
        await fetch(site.url("/", host="localhost", scheme="https"), by_name)
    assert names == ["localhost"]
