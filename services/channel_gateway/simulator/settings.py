"""The simulator's own settings."""

from pathlib import Path

from pydantic import Field

from packages.core.config import Settings


class SimulatorSettings(Settings):
    """How the simulated platforms behave; faults are set while it runs, through PUT /faults."""

    simulator_first_pause: float = Field(0.5, gt=0, description="seconds before an unanswered webhook is posted again")
    simulator_longest_pause: float = Field(
        15.0, gt=0, description="the pause doubles after each attempt, up to this many seconds"
    )
    simulator_status_delay_ms: int = Field(
        120, ge=0, description="milliseconds between a message being accepted, sent, delivered and read"
    )
    simulator_webhook_timeout: float = Field(20.0, gt=0, description="seconds a platform waits for a webhook's answer")

    @property
    def database_path(self) -> Path:
        """Where the simulator remembers what it must still post and what has reached it."""
        return self.data_dir / "simulator" / "simulator.sqlite3"
