"""The dice of the simulator. Not seeded: a fault that strikes differently each time finds more."""

import random

DICE = random.SystemRandom()


def hit(rate: float) -> bool:
    """True with this probability."""
    return DICE.random() < rate
