"""What of a chunk a claim rests on, and what speaks against it: the check of one sentence against one chunk.

The claim's words are laid beside the shortest run of the chunk's sentences that holds most of them. Words in common are
not enough: numbers with their units, names, addresses, negation, obligation and the place of each word must agree too,
since a false sentence is most often a true one with one thing changed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import pairwise
from uuid import UUID

from cachetools import LRUCache

from packages.rag.documents import Hit
from packages.rag.lexical import detect_language, fold, terms
from packages.rag.sentences import spans
from packages.rag.stopwords import STOPWORDS
from services.orchestrator.engine.polarity import Clause, clauses, same_firmness, same_polarity, without_hedges
from services.orchestrator.engine.quantities import Quantity, quantities, without_numbers

LONGEST_RUN = 3
"""Sentences of a chunk that one claim may sum up."""
EXTENSION = 0.06
"""Share of a claim's words that a further sentence must add to be taken in."""
LIKE_CLAUSE = 0.5
"""Share of a clause's words from which on another clause speaks of the same."""
SHORT_SWAP = 2
FEWEST_WORDS = 2
"""Of a clause that is held against the evidence on its own."""

_EXACT = re.compile(
    r"https?://[^\s)\]]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b(?:/[^\s)\]]*)?"
)
_TOKEN = re.compile(r"[^\W_][\w'’&-]*")
_STARTS = re.compile(r"^\W*[\w'’-]+|[.!?:;\n“\"(]\s*[\w'’-]+")
_DENIES = re.compile(r"\W*(?:no|nein|non|não|nee|нет|不|沒|没|否)\b|\W*(?:不|没|沒|否)")
_AFFIRMS = re.compile(r"\W*(?:yes|sí|si|oui|ja|sim|да)\b|\W*(?:是|可以|能|会)")
_FUNCTION_WORDS = frozenset[str]().union(*STOPWORDS.values())
_NOUNS_ARE_CAPITAL = frozenset({"de"})


class Objection(StrEnum):
    """Why a claim does not hold."""

    UNSUPPORTED = "unsupported"
    NUMBER = "number"
    NAME = "name"
    NEGATION = "negation"
    FIRMNESS = "firmness"
    SWAPPED = "swapped"
    MEANING = "meaning"


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim, taken apart once. `words` are stems in their order, numbers left out."""

    text: str
    words: tuple[str, ...]
    quantities: frozenset[Quantity]
    names: frozenset[str]
    exact: tuple[str, ...]
    clauses: tuple[Clause, ...]

    @classmethod
    def of(cls, text: str, language: str | None) -> "Statement":
        """Take a sentence apart."""
        exact = tuple(fold(found).rstrip(".,;") for found in _EXACT.findall(text))
        words = tuple(_words(text, language))
        return cls(text, words, quantities(text), _names(text, language), exact, tuple(clauses(text)))


@dataclass(frozen=True, slots=True)
class Support:
    """How a claim stands to a chunk: `share` of its words, the run of text they were found in, what speaks against it.

    `novel` are its words that stand nowhere in the chunk; `start` and `end` are offsets into the chunk's text.
    """

    share: float
    start: int
    end: int
    novel: tuple[str, ...]
    objection: Objection | None


@dataclass(frozen=True, slots=True)
class _Sentence:
    start: int
    end: int
    text: str
    words: tuple[str, ...]
    clauses: tuple[tuple[Clause, frozenset[str], frozenset[Quantity]], ...]


class Evidence:
    """A chunk, prepared to be held against claims of one language."""

    def __init__(self, hit: Hit, language: str | None) -> None:
        self.written_in = detect_language(fold(hit.text))
        self._language = language
        question, _, answer = hit.text.partition("\n")
        has_question = hit.kind == "faq" and bool(answer.strip())
        self._context = "\n".join((hit.title, *hit.headings, question if has_question else ""))
        self._context_words = frozenset(terms(self._context, language))
        first = len(question) + 1 if has_question else 0
        self._sentences = [self._sentence(hit.text, *border) for border in spans(hit.text) if border[0] >= first]
        self._asked = self._asked_clauses(question, answer) if has_question else []
        self.words = self._context_words.union(*(sentence.words for sentence in self._sentences))
        self._folded = fold(f"{self._context}\n{hit.text}")
        self._tokens = frozenset(map(_bare, _TOKEN.findall(self._folded)))
        self._before: dict[str, set[str]] = {}
        for previous, word in pairwise(_TOKEN.findall(f"{self._context}\n{hit.text}")):
            self._before.setdefault(fold(word), set()).add(previous)

    def support(self, claim: Statement) -> Support:
        """How far the chunk supports the claim."""
        run = self._best_run(claim)
        if not run:
            return Support(0.0, 0, 0, claim.words, Objection.UNSUPPORTED)
        share = self._share(claim, run)
        novel = tuple(word for word in claim.words if word not in self.words)
        return Support(share, run[0].start, run[-1].end, novel, self._objection(claim, run))

    def foreign_objection(self, claim: Statement) -> Objection | None:
        """What speaks against a claim in another language: numbers and what is written the same in both."""
        known = quantities(self._folded)
        if not all(any(said.agrees(other) for other in known) for said in claim.quantities):
            return Objection.NUMBER
        return None if all(text in self._folded for text in claim.exact) else Objection.NAME

    def _objection(self, claim: Statement, run: Sequence[_Sentence]) -> Objection | None:
        text = "\n".join(sentence.text for sentence in run)
        if not self._has_clauses(claim, run):
            return Objection.UNSUPPORTED
        if not self._has_numbers(claim, run, text):
            return Objection.NUMBER
        if not self._has_names(claim, text):
            return Objection.NAME
        if _is_swapped(claim, run, self._context_words):
            return Objection.SWAPPED
        if not self._same_polarity(claim, run):
            return Objection.NEGATION
        return None if same_firmness(claim.text, f"{self._context}\n{text}") else Objection.FIRMNESS

    def _best_run(self, claim: Statement) -> Sequence[_Sentence]:
        best: Sequence[_Sentence] = ()
        best_value = 0.0
        for size in range(1, LONGEST_RUN + 1):
            for first in range(len(self._sentences) - size + 1):
                run = self._sentences[first : first + size]
                value = self._share(claim, run) - EXTENSION * (size - 1)
                # Equal words: the sentence that has the numbers too.
                value += 0.01 * (size == 1 and bool(claim.quantities & quantities(run[0].text)))
                speaks = self._asked or any(word in sentence.words for sentence in run for word in claim.words)
                if value > best_value and speaks:
                    best, best_value = run, value
        return best

    def _share(self, claim: Statement, run: Sequence[_Sentence]) -> float:
        known = self._context_words.union(*(sentence.words for sentence in run))
        return sum(word in known for word in claim.words) / max(len(claim.words), 1)

    def _has_numbers(self, claim: Statement, run: Sequence[_Sentence], text: str) -> bool:
        """Every number stands in the run, and in the clause that speaks of the same thing where it names another."""
        known = quantities(f"{self._context}\n{text}")
        if not all(any(said.agrees(other) for other in known) for said in claim.quantities):
            return False
        for clause in claim.clauses:
            said = quantities(clause.text)
            near = self._nearest(clause, run) if said else []
            told = frozenset[Quantity]().union(*(numbers for _, _, numbers in near))
            for quantity in said:
                rivals = any(quantity.compares(other) for other in told)
                if rivals and not any(quantity.agrees(other) for other in told):
                    return False
        return True

    def _has_names(self, claim: Statement, text: str) -> bool:
        if not all(exact in self._folded for exact in claim.exact):
            return False
        if not all(_bare(name) in self._tokens for name in claim.names):
            return False
        near = frozenset(map(_bare, _TOKEN.findall(fold(f"{self._context}\n{text}"))))
        elsewhere = [name for name in claim.names if _bare(name) not in near]
        if elsewhere and _names(text, self._language) - claim.names:
            return False  # The run speaks of somebody else.
        return not any(
            self._is_renamed(*pair) for pair in pairwise(_TOKEN.findall(claim.text)) if fold(pair[0]) in claim.names
        )

    def _is_renamed(self, name: str, word: str) -> bool:
        """Whether the chunk has other names, and only those, before this word: "Berlin Wall" for "Berlin Club"."""
        before = self._before.get(fold(word), set())
        return bool(before) and fold(name) not in {fold(other) for other in before} and all(map(_is_capital, before))

    def _has_clauses(self, claim: Statement, run: Sequence[_Sentence]) -> bool:
        """Whether the run speaks of every clause, so that nothing is added to what it says."""
        known = self._context_words.union(*(sentence.words for sentence in run))
        for clause in claim.clauses:
            words = frozenset(_words(clause.text, self._language))
            if len(words) >= FEWEST_WORDS and len(words & known) < LIKE_CLAUSE * len(words):
                return False
        return True

    def _same_polarity(self, claim: Statement, run: Sequence[_Sentence]) -> bool:
        for clause in claim.clauses:
            near = self._nearest(clause, run)
            if near and not any(same_polarity(clause, other) for other, _, _ in near):
                return False
        return True

    def _nearest(
        self, clause: Clause, run: Sequence[_Sentence]
    ) -> list[tuple[Clause, frozenset[str], frozenset[Quantity]]]:
        """The clauses of the run that share most words with this one; none if none speaks of the same."""
        words = frozenset(_words(clause.text, self._language))
        if not words:
            return []
        found = [*(item for sentence in run for item in sentence.clauses), *self._asked]
        likeness = [2 * len(words & item[1]) / (len(words) + len(item[1])) for item in found]
        near = [
            (alike, item)
            for alike, item in zip(likeness, found, strict=True)
            if len(words & item[1]) >= LIKE_CLAUSE * len(words)
        ]
        most = max((alike for alike, _ in near), default=0.0)
        return [item for alike, item in near if alike == most]

    def _asked_clauses(self, question: str, answer: str) -> list[tuple[Clause, frozenset[str], frozenset[Quantity]]]:
        """A question that is answered by yes or no says itself, or its opposite."""
        folded = fold(answer)
        if _DENIES.match(folded):
            return list(self._clauses(f"not {question}"))
        return list(self._clauses(question)) if _AFFIRMS.match(folded) else []

    def _sentence(self, text: str, start: int, end: int) -> _Sentence:
        piece = text[start:end]
        words = tuple(_words(piece, self._language))
        return _Sentence(start, end, piece, words, tuple(self._clauses(piece)))

    def _clauses(self, sentence: str) -> Iterator[tuple[Clause, frozenset[str], frozenset[Quantity]]]:
        for clause in clauses(sentence):
            words = frozenset(_words(clause.text, self._language))
            if words:
                yield clause, words, quantities(clause.text)


_prepared: LRUCache[tuple[UUID, str | None], Evidence] = LRUCache(512)
"""Chunks as evidence; an id never comes back with another text."""


def evidence(hit: Hit, language: str | None) -> Evidence:
    """The chunk as evidence for claims in this language; prepared once."""
    key = (hit.chunk_id, language)
    found = _prepared.get(key)
    if found is None:
        found = _prepared[key] = Evidence(hit, language)
    return found


def _names(text: str, language: str | None) -> frozenset[str]:
    """Folded words with a capital inside a sentence or before another such word, of capitals, or with digits."""
    starts = {match.end() for match in _STARTS.finditer(text)}
    tokens = list(_TOKEN.finditer(text))
    found = set()
    for index, match in enumerate(tokens):
        word = match.group()
        leads = match.end() in starts
        if leads and index + 1 < len(tokens) and text[match.end() : tokens[index + 1].start()] == " ":
            leads = not tokens[index + 1].group()[0].isupper() or fold(word) in _FUNCTION_WORDS
        if _is_name(word, leads, language):
            found.add(fold(word))
    return frozenset(found)


def _is_name(word: str, starts_sentence: bool, language: str | None) -> bool:
    has_digit, has_letter = any(map(str.isdigit, word)), any(map(str.isalpha, word))
    if has_digit:
        return has_letter and not word[0].isdigit()
    if len(word) > 1 and any(map(str.isupper, word[1:])):
        return True
    return word[0].isupper() and len(word) > 1 and not starts_sentence and language not in _NOUNS_ARE_CAPITAL


def _words(text: str, language: str | None) -> list[str]:
    """The stems that are compared as words; numbers and hedges are compared as what they say."""
    return terms(without_hedges(without_numbers(text)), language)


def _is_capital(word: str) -> bool:
    return word[0].isupper()


def _bare(word: str) -> str:
    return re.sub(r"['’]s?$", "", word).rstrip("-&")


def _is_swapped(claim: Statement, run: Sequence[_Sentence], context: frozenset[str]) -> bool:
    """Whether the claim has another word in the place of one of the evidence's, with the same words beside it."""
    said = frozenset(claim.words)
    for sentence in run:
        known = frozenset(sentence.words)
        if len(known & said) < max(2, LIKE_CLAUSE * min(len(said), len(known))):
            continue
        matcher = SequenceMatcher(None, sentence.words, claim.words, autojunk=False)
        for before, change, after in _with_neighbours(matcher.get_opcodes()):
            tag, a1, a2, b1, b2 = change
            if tag != "replace" or max(a2 - a1, b2 - b1) > SHORT_SWAP or not (before or after):
                continue
            gone, came = set(sentence.words[a1:a2]) - said, set(claim.words[b1:b2]) - known - context
            if gone and came:
                return True
    return False


_Change = tuple[str, int, int, int, int]


def _with_neighbours(changes: Sequence[_Change]) -> Iterator[tuple[bool, _Change, bool]]:
    """Each change, with whether equal words stand before and after it."""
    edge: _Change = ("edge", 0, 0, 0, 0)
    padded = [edge, *changes, edge]
    for (before, change), (_, after) in pairwise(pairwise(padded)):
        yield before[0] == "equal", change, after[0] == "equal"
