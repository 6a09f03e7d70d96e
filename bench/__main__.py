"""`python -m bench [--quick] [--only intake,turns]`: measure, print tables, keep JSON in bench-results/."""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvloop

from bench import flatness, intake, memory, turns
from bench.report import Section, save, show
from services.local.schema import ROOT

RESULTS = ROOT / "bench-results"
Measurement = Callable[[int, float], AsyncIterator[Section]]
MEASUREMENTS: dict[str, tuple[Measurement, float]] = {
    "intake": (intake.measure, 5.0),
    "turns": (turns.measure, 20.0),
    "memory": (memory.measure, 10.0),
    "flatness": (flatness.measure, 20.0),
}
"""By name: what measures, and how many seconds one round of it takes."""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Parley's speed and memory.")
    parser.add_argument("--quick", action="store_true", help="shorter rounds, to see that it works")
    parser.add_argument("--only", default=",".join(MEASUREMENTS), help="names, by comma (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement (default: 3)")
    options = parser.parse_args()
    options.names = options.only.split(",")
    if unknown := set(options.names) - set(MEASUREMENTS):
        parser.error(f"there is no measurement called {', '.join(sorted(unknown))}")
    return options


async def _main(options: argparse.Namespace) -> int:
    missed = False
    for name in options.names:
        measure, seconds = MEASUREMENTS[name]
        async for section in measure(options.rounds, seconds / 2 if options.quick else seconds):
            show(section)
            save(section, Path(RESULTS))
            missed = missed or any(figure.verdict == "MISSED" for figure in section.figures)
    return int(missed)


if __name__ == "__main__":
    os.chdir(ROOT)
    for setting in [name for name in os.environ if name.startswith("PARLEY_")]:
        del os.environ[setting]  # what is measured must not depend on who measures
    sys.exit(uvloop.run(_main(_options())))
