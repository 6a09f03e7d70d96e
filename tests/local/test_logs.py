import json
import string
import time
from pathlib import Path

import pytest

from services.local.logs import SHOWN_PER_READ, Tail, last_lines, rotate


def line(**fields: object) -> str:
    return json.dumps(fields) + "\n"


class TestTail:
    @pytest.mark.parametrize(
        ("written", "shown"),
        [
            (line(level="info", event="request"), []),
            (line(level="warning", event="slow", ms=5, timestamp="t"), ["warning: slow ms=5"]),
            (
                line(level="error", event="crashed", exception="Traceback …\nValueError: no"),
                ["error: crashed ValueError: no"],
            ),
            ("INFO: Started\n", []),
            ("ImportError: no module named x\n", ["ImportError: no module named x"]),
            ("42\n", []),
        ],
    )
    def test_severe_lines_alone(self, tmp_path: Path, written: str, shown: list[str]) -> None:
        log = tmp_path / "a.log"
        tail = Tail(log)
        log.write_text(written)
        assert tail.severe() == shown

    def test_each_line_once_and_only_when_it_is_whole(self, tmp_path: Path) -> None:
        log = tmp_path / "a.log"
        tail = Tail(log)
        log.write_text("error one\nerror tw")
        first = tail.severe()
        with log.open("a") as file:
            file.write("o\n")
        assert (first, tail.severe(), tail.severe()) == (["error one"], ["error two"], [])

    def test_what_was_there_before_is_not_shown(self, tmp_path: Path) -> None:
        log = tmp_path / "a.log"
        log.write_text("error of yesterday\n")
        assert Tail(log).severe() == []

    def test_a_flood_is_cut_and_counted(self, tmp_path: Path) -> None:
        log = tmp_path / "a.log"
        tail = Tail(log)
        log.write_text("".join(f"error {letter * 3}\n" for letter in string.ascii_letters))
        shown = tail.severe()
        assert len(shown) == SHOWN_PER_READ + 1
        assert "44 more" in shown[-1]

    def test_the_same_again_is_counted(self, tmp_path: Path) -> None:
        log = tmp_path / "a.log"
        tail = Tail(log, repeat_seconds=0.2)
        log.write_text("error: retry in 1.5\nerror: retry in 3\nerror: retry in 6\n")
        first = tail.severe()
        time.sleep(0.25)
        with log.open("a") as file:
            file.write("error: retry in 12\n")
        assert (first, tail.severe()) == (["error: retry in 1.5"], ["error: retry in 12 (and 2 times before)"])

    def test_goes_on_after_a_rotation(self, tmp_path: Path) -> None:
        log = tmp_path / "a.log"
        tail = Tail(log)
        log.write_text("error one\n" * 100)
        tail.severe()
        rotate(log, max_bytes=10)
        with log.open("a") as file:
            file.write("error two\n")
        assert tail.severe() == ["error two"]


class TestRotate:
    def test_a_writer_goes_on_in_the_emptied_file(self, tmp_path: Path) -> None:
        log = tmp_path / "a.log"
        with log.open("a") as writer:
            writer.write("old\n" * 10)
            writer.flush()
            rotate(log, max_bytes=5)
            writer.write("new\n")
        assert log.read_text() == "new\n"
        assert (tmp_path / "a.log.1").read_text() == "old\n" * 10

    def test_a_short_log_stays(self, tmp_path: Path) -> None:
        log = tmp_path / "a.log"
        log.write_text("short")
        rotate(log)
        assert log.read_text() == "short"
        assert not (tmp_path / "a.log.1").exists()


def test_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert last_lines(log) == []
    log.write_text("\n".join(str(number) for number in range(100)))
    assert last_lines(log, 3) == ["97", "98", "99"]
