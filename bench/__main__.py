"""`python -m bench [--quick] [--only intake,turns]`: measure, print tables, keep JSON in bench-results/."""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvloop

from bench import channels, flatness, intake, memory, search, turns
from bench.report import Section, markdown, save, show
from services.local.schema import ROOT

RESULTS = ROOT / "bench-results"
Measurement = Callable[[int, float], AsyncIterator[Section]]
MEASUREMENTS: dict[str, tuple[Measurement, float]] = {
    "intake": (intake.measure, 5.0),
    "channels": (channels.measure, 5.0),
    "turns": (turns.measure, 20.0),
    "memory": (memory.measure, 10.0),
    "search": (search.measure, 20.0),
    "flatness": (flatness.measure, 20.0),
}
"""By name: what measures, and how many seconds one round of it takes."""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Parley's speed and memory.")
    parser.add_argument("--quick", action="store_true", help="shorter rounds, to see that it works")
    parser.add_argument("--only", default=",".join(MEASUREMENTS), help="names, by comma (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement (default: 3)")
    parser.add_argument(
        "--markdown", type=Path, help="also write all tables to this file, as docs/PERFORMANCE.md has them"
    )
    options = parser.parse_args()
    options.names = options.only.split(",")
    if unknown := set(options.names) - set(MEASUREMENTS):
        parser.error(f"there is no measurement called {', '.join(sorted(unknown))}")
    return options


async def _main(options: argparse.Namespace) -> int:
    measured: list[Section] = []
    for name in options.names:
        measure, seconds = MEASUREMENTS[name]
        async for section in measure(options.rounds, seconds / 2 if options.quick else seconds):
            show(section)
            save(section, RESULTS)
            measured.append(section)
            if options.markdown:
                options.markdown.write_text(markdown(measured))
    return int(any(figure.verdict == "MISSED" for section in measured for figure in section.figures))


if __name__ == "__main__":
    os.chdir(ROOT)
    for setting in [name for name in os.environ if name.startswith("PARLEY_")]:
        del os.environ[setting]  # what is measured must not depend on who measures
    sys.exit(uvloop.run(_main(_options())))
