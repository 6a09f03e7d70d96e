"""What to search for when a customer's message leans on the conversation before it."""

from collections.abc import Sequence

from packages.rag import followup
from services.orchestrator.engine.prompt import HistoryMessage


def search_text(question: str, history: Sequence[HistoryMessage]) -> str:
    """The question, behind the customer's own ones before it where it says too little on its own."""
    return followup.search_text(question, [item.text for item in history if item.author == "customer"])
