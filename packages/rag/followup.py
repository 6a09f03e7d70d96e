"""What to search for when a message leans on what was said before it: "and for business accounts?"."""

import re
from collections.abc import Sequence

from packages.rag.lexical import fold, query_terms

FEW_TERMS = 4
EARLIER_QUESTIONS = 2
EARLIER_CHARACTERS = 1000

_LEANS = re.compile(
    r"^\W*(?:and|but|or|so|also|then|what about|how about|what if|y|pero|o|entonces|qu[eé] tal|et|mais|ou|alors|"
    r"und|aber|oder|"
    r"was ist mit|wie ist es mit|e|mas|ou|então|ma|allora|en|maar|dan)\b"
    r"|\b(?:it|that|this|those|these|them|they|there|one|ones|same|eso|esto|ese|esa|lo mismo|cela|ça|celui|celle|"
    r"das|dies|davon|dafür|damit|es|isso|isto|questo|quello|dat|daarvan)\b|^\W*(?:那|那么|它|这个|那个)"
)


def search_text(question: str, earlier: Sequence[str]) -> str:
    """The question, behind the customer's ones before it where it says too little on its own.

    Args:
        question: the customer's latest message.
        earlier: what the same customer said before it, oldest first. A question that itself leaned on the one before
            it brings that one along.
    """
    if not _leans(question):
        return question
    told: list[str] = []
    for text in reversed([said for said in earlier if said.strip()][-EARLIER_QUESTIONS:]):
        told.append(text[:EARLIER_CHARACTERS])
        if not _leans(text):
            break
    return " ".join([*reversed(told), question])


def _leans(question: str) -> bool:
    return len(query_terms(question)) <= FEW_TERMS and _LEANS.search(fold(question)) is not None
