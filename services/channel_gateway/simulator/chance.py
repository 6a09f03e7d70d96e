"""The dice of the simulator. Not seeded: a fault that strikes differently each time finds more."""

import random

DICE = random.Random()  # noqa: S311 - faults need no cryptography, and this runs for every webhook


def hit(rate: float) -> bool:
    """True with this probability."""
    return DICE.random() < rate
