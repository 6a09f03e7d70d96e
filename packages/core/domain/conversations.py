"""Who owns a conversation, and how that may change."""

from enum import StrEnum


class Owner(StrEnum):
    """Who answers: the bot, nobody yet (offered to people), or a person."""

    BOT = "bot"
    OFFERED = "offered"
    HUMAN = "human"


class ConversationStatus(StrEnum):
    """Open conversations take messages; a message after `resolved` begins a new one."""

    OPEN = "open"
    RESOLVED = "resolved"


class IllegalTransition(Exception):
    """The ownership state machine does not allow this step."""


_ALLOWED: dict[Owner, frozenset[Owner]] = {
    Owner.BOT: frozenset({Owner.OFFERED, Owner.HUMAN}),
    Owner.OFFERED: frozenset({Owner.BOT, Owner.HUMAN}),
    Owner.HUMAN: frozenset({Owner.BOT, Owner.HUMAN}),
}


def change_owner(current: Owner, wanted: Owner) -> Owner:
    """The new owner.

    Raises:
        IllegalTransition: a person's conversation cannot be offered again; it is handed back to the bot first.
    """
    if wanted not in _ALLOWED[current]:
        raise IllegalTransition(f"a conversation owned by {current} cannot become {wanted}")
    return wanted


def bot_may_answer(owner: Owner) -> bool:
    """The bot keeps helping while a handover is merely offered; once a person owns it, it is silent."""
    return owner is not Owner.HUMAN
