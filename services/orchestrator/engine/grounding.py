"""Checks a model's draft against the chunks it was given: what no chunk supports goes, what stays is cited.

A claim is a sentence. It is supported by a chunk that holds most of its content words and every one of its numbers. A
claim without a citation, or with a wrong one, gets the chunk that strongly supports it, or is removed. Where draft and
chunk are in different languages words cannot be compared: there the model's citation and the numbers decide.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from cachetools import LRUCache

from packages.core.domain.knowledge import Citation
from packages.rag.documents import Hit
from packages.rag.lexical import base_language, detect_language, fold, terms
from packages.rag.sentences import spans
from services.orchestrator.engine.passages import Passage, passages
from services.orchestrator.engine.prompt import NO_ANSWER

SUPPORTED = 0.6
"""Share of a claim's content words that the chunk it cites must hold."""
STRONGLY_SUPPORTED = 0.75
"""The same for a chunk that the claim does not cite."""
FEW_WORDS = 2

_MARK = re.compile(r"\s*\[(\d{1,3})\]")
_MARKS_AFTER_END = re.compile(r"([.!?。！？])((?:\s*\[\d{1,3}\])+)")
_END = re.compile(r"[.!?。！？:;,\"'”’)*_\s]*$")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_REFUSAL = re.compile(
    r"^\W*(?:i(?:'m| am) (?:sorry|afraid)[,.]?\s*(?:but )?)?(?:i (?:do not|don't|can't|cannot|could not|"
    r"couldn't) (?:know|find|answer)|"
    r"(?:the )?(?:context|knowledge|passages?|information)\b.{0,40}\b(?:does not|doesn't|do not|don't|not)\b|"
    r"no lo s[eé]|no s[eé] |je ne sais pas|das weiß ich nicht|ich weiß (?:es |das )?nicht|n[aã]o sei|non (?:lo )?so|"
    r"dat weet ik niet|我不知道|抱歉.{0,6}不知道)"
)
_FRAME = frozenset(
    [
        "accord",
        "context",
        "knowledg",
        "passag",
        "document",
        "sourc",
        "inform",
        "say",
        "state",
        "articl",
        "page",
        "follow",
        "yes",
        "no",
        "ok",
        "sure",
    ]
)


@dataclass(frozen=True, slots=True)
class Grounded:
    """What is left of a draft, its citations numbered from 1 as they stand in the text.

    `support` is the mean support of the claims that stayed (0..1); `refused`: the model itself found no answer.
    """

    text: str
    citations: tuple[Citation, ...]
    support: float
    claims: int
    removed: tuple[str, ...]
    refused: bool = False
    across_languages: bool = False

    @property
    def confidence(self) -> float:
        """How much of what the model said holds: the support of what stayed, by the share of claims that stayed."""
        return self.support * (1 - len(self.removed) / (2 * self.claims)) if self.claims else 0.0

    def as_dict(self) -> dict[str, object]:
        """For the trace."""
        return {
            "claims": self.claims,
            "removed": list(self.removed),
            "support": round(self.support, 4),
            "refused": self.refused,
            "across_languages": self.across_languages,
        }


@dataclass(frozen=True, slots=True)
class _Claim:
    gap: str
    text: str
    cited: tuple[int, ...]
    words: tuple[str, ...]
    support: float | None = None
    across_languages: bool = False

    @property
    def supported(self) -> bool:
        return self.support is not None


def ground(draft: str, hits: Sequence[Hit], language: str | None = None) -> Grounded:
    """Check every claim of a draft.

    Args:
        draft: the model's text, with [n] after its claims.
        hits: the chunks it was given; [1] is the first.
        language: the draft's, if known.
    """
    body = draft.replace(NO_ANSWER, "").strip()
    if not body or draft.strip().startswith(NO_ANSWER) or _REFUSAL.match(fold(body)):
        return Grounded("", (), 0.0, 0, (), refused=True)
    spoken = detect_language(fold(_MARK.sub("", body))) or language
    checked = [_checked(claim, hits, spoken) for claim in _claims(body, spoken)]
    kept = _with_small_words(checked)
    supports = [claim.support for claim in checked if claim.support is not None]
    text, citations = _numbered(kept, hits, spoken)
    return Grounded(
        text=text,
        citations=citations,
        support=sum(supports) / len(supports) if supports else 0.0,
        claims=len(checked),
        removed=tuple(claim.text for claim in checked if claim not in kept),
        across_languages=any(claim.across_languages for claim in kept),
    )


def quoted(chosen: Sequence[Passage]) -> tuple[str, tuple[Citation, ...]]:
    """Passages as an answer, one paragraph each, with their citations. Passages of one chunk share a number."""
    numbers: dict[UUID, int] = {}
    parts, citations = [], []
    for passage in chosen:
        if passage.hit.chunk_id not in numbers:
            numbers[passage.hit.chunk_id] = len(numbers) + 1
            citations.append(_cite(passage.hit, passage.text))
        parts.append(f"{passage.text} [{numbers[passage.hit.chunk_id]}]")
    return "\n\n".join(parts), tuple(citations)


def best_quote(hit: Hit, claim: str, language: str | None = None) -> str:
    """The passage of the chunk, verbatim, that shares most words with the claim."""
    wanted = set(terms(claim, language))
    found = _quotable(hit, language)
    return max(found, key=lambda quote: len(wanted & quote[1]))[0] if found else hit.text


def _claims(body: str, language: str | None) -> Iterator[_Claim]:
    body = _MARKS_AFTER_END.sub(r"\2\1", body)
    behind = 0
    for start, end in spans(body):
        sentence = body[start:end]
        cited = tuple(dict.fromkeys(int(number) for number in _MARK.findall(sentence)))
        text = _MARK.sub("", sentence).strip()
        yield _Claim(body[behind:start], text, cited, _content(text, language))
        behind = end


def _checked(claim: _Claim, hits: Sequence[Hit], language: str | None) -> _Claim:
    """The claim with the chunks that support it, or without support."""
    words = claim.words
    cited = [number for number in claim.cited if 0 < number <= len(hits)]
    if not _NUMBER.search(claim.text) and len(words) < FEW_WORDS:
        return replace(claim, cited=())
    foreign = [number for number in cited if _is_foreign(hits[number - 1], language)]
    if foreign and _has_numbers(claim.text, [hits[number - 1] for number in foreign]):
        return replace(claim, cited=tuple(foreign), support=SUPPORTED, across_languages=True)
    support = {number: _support(words, hits[number - 1], language) for number in cited}
    good = [number for number in cited if support[number] >= SUPPORTED]
    if not good:
        support = {number: _support(words, hits[number - 1], language) for number in range(1, len(hits) + 1)}
        best = max(support, key=lambda number: support[number], default=0)
        good = [best] if best and support[best] >= STRONGLY_SUPPORTED else []
    if not good or not _has_numbers(claim.text, [hits[number - 1] for number in good]):
        return replace(claim, cited=())
    return replace(claim, cited=tuple(good), support=max(support[number] for number in good))


def _with_small_words(checked: Sequence[_Claim]) -> list[_Claim]:
    """Supported claims, and the few words before them that claim nothing ("Yes.", "Of course!")."""
    kept = []
    for index, claim in enumerate(checked):
        following = checked[index + 1] if index + 1 < len(checked) else None
        is_small = not _NUMBER.search(claim.text) and len(claim.words) < FEW_WORDS
        if claim.supported or (is_small and following is not None and following.supported):
            kept.append(claim)
    return kept


def _numbered(kept: Sequence[_Claim], hits: Sequence[Hit], language: str | None) -> tuple[str, tuple[Citation, ...]]:
    numbers: dict[int, int] = {}
    citations: list[Citation] = []
    parts: list[str] = []
    for claim in kept:
        for old in claim.cited:
            if old not in numbers:
                numbers[old] = len(numbers) + 1
                hit = hits[old - 1]
                citations.append(_cite(hit, best_quote(hit, claim.text, language)))
        marks = "".join(f"[{numbers[old]}]" for old in claim.cited)
        parts.append((claim.gap if parts else "") + _marked(claim.text, marks))
    return "".join(parts), tuple(citations)


def _marked(sentence: str, marks: str) -> str:
    """The marks go before the punctuation that ends the sentence."""
    if not marks:
        return sentence
    end = _END.search(sentence)
    border = end.start() if end else len(sentence)
    return f"{sentence[:border]} {marks}{sentence[border:]}"


def _cite(hit: Hit, quote: str) -> Citation:
    return Citation(
        chunk_id=str(hit.chunk_id),
        source_id=str(hit.source_id),
        source_version=hit.source_version,
        title=hit.title,
        quote=quote,
        location=hit.location,
    )


def _content(text: str, language: str | None) -> tuple[str, ...]:
    return tuple(word for word in terms(text, language) if word not in _FRAME)


def _support(words: Sequence[str], hit: Hit, language: str | None) -> float:
    vocabulary = _vocabulary(hit, language)
    return sum(word in vocabulary for word in words) / len(words) if words else 0.0


_vocabularies: LRUCache[tuple[UUID, str | None], tuple[frozenset[str], str | None]] = LRUCache(1024)
"""Words and language of chunks; an id never comes back with another text."""
_quotables: LRUCache[tuple[UUID, str | None], list[tuple[str, frozenset[str]]]] = LRUCache(512)
"""Passages of chunks, and the words of each."""


def _vocabulary(hit: Hit, language: str | None) -> frozenset[str]:
    return _words_and_language(hit, language)[0]


def _is_foreign(hit: Hit, language: str | None) -> bool:
    written_in = _words_and_language(hit, language)[1]
    return bool(language and written_in and base_language(language) != written_in)


def _words_and_language(hit: Hit, language: str | None) -> tuple[frozenset[str], str | None]:
    found = _vocabularies.get((hit.chunk_id, language))
    if found is None:
        text = "\n".join((hit.title, *hit.headings, hit.text))
        found = (frozenset(terms(text, language)), detect_language(fold(hit.text)))
        _vocabularies[(hit.chunk_id, language)] = found
    return found


def _quotable(hit: Hit, language: str | None) -> list[tuple[str, frozenset[str]]]:
    found = _quotables.get((hit.chunk_id, language))
    if found is None:
        found = [(passage.text, frozenset(terms(passage.text, language))) for passage in passages(hit)]
        _quotables[(hit.chunk_id, language)] = found
    return found


def _has_numbers(claim: str, hits: Sequence[Hit]) -> bool:
    """Whether every number of the claim stands in one of the chunks."""
    known = {number for hit in hits for number in _NUMBER.findall("\n".join((hit.title, *hit.headings, hit.text)))}
    return all(number in known for number in _NUMBER.findall(claim))
