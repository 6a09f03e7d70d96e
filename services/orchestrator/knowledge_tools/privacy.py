"""Customers' words as they may be kept beyond their conversation: without personal data."""

from services.orchestrator.engine.policies import personal_data


def kept(text: str, locale: str) -> str:
    """The text with e-mail addresses, telephone numbers and the like replaced by their kind.

    Args:
        text: any text.
        locale: of the brand; its country is the one in which telephone numbers are dialled.
    """
    language, _, country = locale.replace("_", "-").rpartition("-")
    known = bool(language) and len(country) == 2
    return personal_data.redact(text, country.upper() if known else "US").text
