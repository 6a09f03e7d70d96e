"""`python -m evaluation [--only retrieval]`: how good Parley's answers are, on data that others wrote."""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from evaluation import (
    abstention,
    actions,
    answers,
    followups,
    grouping,
    guardrails,
    personal_data,
    profanity,
    retrieval,
)
from evaluation.report import Report, markdown
from services.local.schema import ROOT

SUITES: dict[str, Callable[[], Awaitable[Report]]] = {
    "retrieval": retrieval.evaluate,
    "followups": followups.evaluate,
    "abstention": abstention.evaluate,
    "answers": answers.evaluate,
    "grouping": grouping.evaluate,
    "guardrails": guardrails.evaluate,
    "personal_data": personal_data.evaluate,
    "profanity": profanity.evaluate,
    "actions": actions.evaluate,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation", description="Measure the quality of Parley's answers."
    )
    parser.add_argument("--only", default=",".join(SUITES), help="names, by comma (default: %(default)s)")
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file, as docs/QUALITY.md has them")
    options = parser.parse_args()
    options.names = options.only.split(",")
    if unknown := set(options.names) - set(SUITES):
        parser.error(f"there is no suite called {', '.join(sorted(unknown))}")
    return options


async def _main(options: argparse.Namespace) -> int:
    found: list[Report] = []
    for name in options.names:
        report = await SUITES[name]()
        sys.stdout.write(f"\n{markdown(report)}")
        sys.stdout.flush()
        found.append(report)
    if options.markdown:
        options.markdown.write_text("\n".join(markdown(report) for report in found))
    return int(not all(goal.is_reached for report in found for goal in report.goals))


if __name__ == "__main__":
    os.chdir(ROOT)
    for setting in [name for name in os.environ if name.startswith("PARLEY_")]:
        del os.environ[setting]  # what is measured must not depend on who measures
    sys.exit(uvloop.run(_main(_options())))
