"""A program for tests: supervises the commands of a JSON file until it is told to stop.

`python tests/local/supervised.py DATA_DIR COMMANDS.json`; COMMANDS is a list of {name, argv}.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from services.local.console import Console
from services.local.data_dir import DataDir
from services.local.engines import Command
from services.local.supervisor import Supervisor


async def supervise(folder: Path, commands: list[Command]) -> None:
    data = DataDir(folder)
    supervisor = Supervisor(data, Console(), grace=3)
    await supervisor.end_leftovers()
    await supervisor.start(commands)
    watching = asyncio.create_task(supervisor.watch())
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print("ready", flush=True)
    await stopped.wait()
    watching.cancel()
    await supervisor.stop()


if __name__ == "__main__":
    described = json.loads(Path(sys.argv[2]).read_text())
    asyncio.run(supervise(Path(sys.argv[1]), [Command(ready=lambda: True, **item) for item in described]))
