"""`python -m services.local`: run all of Parley on this machine. See `services.local.launch`."""

import argparse
import asyncio
import os
import sys

from services.local.launch import Options, main
from services.local.schema import ROOT


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m services.local", description="Run all of Parley on this machine.")
    parser.add_argument("--no-demo", action="store_true", help="make no demo tenant")
    return Options(with_demo=not parser.parse_args().no_demo)


if __name__ == "__main__":
    os.chdir(ROOT)  # the services read .env from here, so this process must too
    sys.exit(asyncio.run(main(_options())))
