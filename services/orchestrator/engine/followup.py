"""What to search for when a message leans on what was said before it: "and for business accounts?"."""

import re
from collections.abc import Sequence

from packages.rag.lexical import fold, query_terms
from services.orchestrator.engine.prompt import HistoryMessage

FEW_TERMS = 4

_LEANS = re.compile(
    r"^\W*(?:and|but|or|so|also|then|what about|how about|what if|y|pero|o|entonces|qu[eé] tal|et|mais|ou|alors|"
    r"und|aber|oder|"
    r"was ist mit|wie ist es mit|e|mas|ou|então|ma|allora|en|maar|dan)\b"
    r"|\b(?:it|that|this|those|these|them|they|there|one|ones|same|eso|esto|ese|esa|lo mismo|cela|ça|celui|celle|"
    r"das|dies|davon|dafür|damit|es|isso|isto|questo|quello|dat|daarvan)\b|^\W*(?:那|那么|它|这个|那个)"
)


def search_text(question: str, history: Sequence[HistoryMessage]) -> str:
    """The question, behind the customer's one before it where it says too little on its own."""
    earlier = next((item.text for item in reversed(history) if item.author == "customer"), "")
    if earlier and len(query_terms(question)) <= FEW_TERMS and _LEANS.search(fold(question)):
        return f"{earlier} {question}"
    return question
