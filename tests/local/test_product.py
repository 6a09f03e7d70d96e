import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from packages.core.config import Settings
from services.local import product
from services.local.engines import can_bind, free_port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which something listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


class TestPorts:
    @pytest.mark.parametrize("name", product.PORT_SETTINGS)
    def test_a_taken_port_names_its_setting(self, taken: int, name: str) -> None:
        ports = {f"{other}_port": 0 for other in product.PORT_SETTINGS} | {f"{name}_port": taken}
        with pytest.raises(product.PortTaken, match=rf"Port {taken} .*{name}.*{product.PORT_SETTINGS[name]}"):
            product.with_ports(Settings.model_validate(ports))

    def test_zero_means_any_free_one(self) -> None:
        chosen = product.with_ports(Settings(orchestrator_port=0, gateway_port=0, simulator_port=0))
        ports = {chosen.orchestrator_port, chosen.gateway_port, chosen.simulator_port}
        assert len(ports) == 3
        assert all(can_bind("127.0.0.1", port) for port in ports)

    def test_free_ports_lie_below_those_of_outgoing_connections(self) -> None:
        assert all(15_000 <= free_port() < 32_000 for _ in range(20))


class TestAnswers:
    @pytest.fixture
    def server(self) -> Iterator[HTTPServer]:
        """Answers 200 on /good, else 503."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/good" else 503)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
        server.server_close()

    @pytest.mark.parametrize(("path", "ready"), [("/good", True), ("/bad", False)])
    def test_only_200_counts(self, server: HTTPServer, path: str, ready: bool) -> None:
        assert product.answers("127.0.0.1", server.server_port, path)() is ready

    def test_nobody_there(self) -> None:
        assert product.answers("127.0.0.1", free_port(), "/good")() is False


def test_each_service_is_told_the_environment_and_logs_to_its_own_file(tmp_path: Path) -> None:
    commands = product.commands(Settings(), {"PARLEY_SECRET_KEY": "x"}, tmp_path)
    assert [command.name for command in commands] == ["orchestrator", "gateway", "worker", "simulator"]
    assert all(command.env["PARLEY_SECRET_KEY"] == "x" for command in commands)
    assert {command.log for command in commands} == {tmp_path / f"{command.name}.log" for command in commands}
