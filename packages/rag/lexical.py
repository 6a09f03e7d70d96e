"""Texts to search terms, the same way for documents and questions.

NFKC and case folding, words by Unicode, stop words out, stems by Snowball where the language is known, and pairs of
characters where a script has no spaces between words.
"""

import re
import threading
import unicodedata
from collections import Counter
from functools import lru_cache

import snowballstemmer

from packages.rag.stopwords import STOPWORDS

MAX_TERM = 64
FALLBACK = "en"

_SNOWBALL = {
    "ar": "arabic", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish", "fi": "finnish",
    "fr": "french", "hi": "hindi", "hu": "hungarian", "id": "indonesian", "it": "italian", "nl": "dutch",
    "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sv": "swedish", "tr": "turkish",
}  # fmt: skip
_UNSPACED = "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+(?:['’][^\W_{_UNSPACED}]+)*")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_POSSESSIVE = re.compile(r"['’]s$")
_SAMPLE = 4000

_SPOKEN_IN: dict[str, list[str]] = {}
for _code, _words in STOPWORDS.items():
    for _word in _words:
        _SPOKEN_IN.setdefault(_word, []).append(_code)
_FUNCTION_WORDS = frozenset(_SPOKEN_IN)


def terms(text: str, language: str | None = None) -> list[str]:
    """The search terms of a text in their order, repeated as often as they stand there.

    Args:
        text: any text.
        language: two-letter code that chooses the stemmer and the stop words; None looks for it in the text and
            takes English where the text does not tell, on both sides of a search alike.
    """
    folded = fold(text)
    code = base_language(language) if language else detect_language(folded) or FALLBACK
    stop = STOPWORDS.get(code, frozenset())
    found: list[str] = []
    for token in _TOKEN.findall(folded):
        if _IS_UNSPACED.match(token):
            found.extend(_pairs(token))
            continue
        word = _POSSESSIVE.sub("", token)
        if word not in stop:
            found.append(_stem(code, word)[:MAX_TERM])
    return found


def query_terms(question: str, assumed: str | None = None) -> list[str]:
    """The distinct terms of a question; a question of nothing but stop words keeps them.

    Args:
        question: in the customer's words.
        assumed: its language where its own words do not tell, such as the brand's.
    """
    folded = fold(question)
    distinct = list(dict.fromkeys(terms(question, detect_language(folded) or assumed)))
    return distinct or list(dict.fromkeys(token[:MAX_TERM] for token in _TOKEN.findall(folded)))


def fold(text: str) -> str:
    """One form for what reads the same: NFKC, case folded, straight apostrophes."""
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'")


def base_language(code: str) -> str:
    """`pt-BR` and `pt_BR` are `pt`."""
    return re.split(r"[-_]", code.strip().casefold(), maxsplit=1)[0]


@lru_cache(maxsize=256)  # a turn asks again of the same few texts
def detect_language(text: str) -> str | None:
    """The language whose stop words stand most often in the text; None where none clearly does."""
    counts = Counter(_TOKEN.findall(text[:_SAMPLE].casefold()))
    scores = dict.fromkeys(STOPWORDS, 0)
    for word in _FUNCTION_WORDS & counts.keys():
        for code in _SPOKEN_IN[word]:
            scores[code] += counts[word]
    best = max(scores, key=scores.__getitem__)
    return best if counts and scores[best] / counts.total() >= 0.1 else None


def _pairs(run: str) -> list[str]:
    return [run[index : index + 2] for index in range(len(run) - 1)] or [run]


_STEMMING = threading.Lock()
"""A stemmer keeps the word that it works on: two threads in one would write each other's stems, or crash."""


@lru_cache(maxsize=20_000)
def _stem(language: str, word: str) -> str:
    algorithm = _SNOWBALL.get(language)
    if algorithm is None:
        return word
    with _STEMMING:
        stem: str = _stemmer(algorithm).stemWord(word)
        return stem


@lru_cache(maxsize=len(_SNOWBALL))
def _stemmer(algorithm: str) -> "snowballstemmer.stemmer":
    return snowballstemmer.stemmer(algorithm)
