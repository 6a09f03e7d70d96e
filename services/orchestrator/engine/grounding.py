"""Checks a model's draft against the chunks it was given: what no chunk supports goes, what stays is cited.

A claim is a sentence, or the part of one that has a citation of its own. It is supported by a chunk of which one to
three sentences hold most of its words, and to whose numbers, names, negations and duties it says nothing else
(`evidence`). Words that the chunk has not are let through only if a local embedder finds the meaning unchanged. A claim
without a citation, or with a wrong one, gets the chunk that strongly supports it, or is removed. Where draft and chunk
are in different languages words cannot be compared: there the model's citation, numbers and addresses decide.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from packages.core.domain.knowledge import Citation
from packages.rag.documents import Hit
from packages.rag.embeddings import Embedder
from packages.rag.lexical import base_language, detect_language, fold, terms
from packages.rag.sentences import spans
from services.orchestrator.engine.evidence import Objection, Statement, Support, evidence
from services.orchestrator.engine.passages import Passage, passages
from services.orchestrator.engine.prompt import NO_ANSWER

SUPPORTED = 0.6
"""Share of a claim's content words that the chunk it cites must hold."""
STRONGLY_SUPPORTED = 0.75
"""The same for a chunk that the claim does not cite."""
SAME_MEANING = 0.7
"""Cosine of a claim and its evidence from which on words that the chunk has not are taken as another wording."""
FEW_WORDS = 2
_LOCAL = ("local/", "sentence-transformers/")

_MARK = re.compile(r"\s*\[(\d{1,3})\]")
_MARK_ALONE = re.compile(r"\[\d{1,3}\]")
_MARKED_PIECE = re.compile(r"((?:(?!\s*\[\d{1,3}\]).)+)((?:\s*\[\d{1,3}\])+)", re.DOTALL)
_MARKS_AFTER_END = re.compile(r"([.!?。！？])((?:\s*\[\d{1,3}\])+)")
_END = re.compile(r"[.!?。！？:;,\"'”’)*_\s]*$")
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

    `support` is the mean support of the claims that stayed (0..1); `objections` say for each of `removed` why it went;
    `refused`: the model itself found no answer.
    """

    text: str
    citations: tuple[Citation, ...]
    support: float
    claims: int
    removed: tuple[str, ...]
    objections: tuple[str, ...] = ()
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
            "objections": list(self.objections),
            "support": round(self.support, 4),
            "refused": self.refused,
            "across_languages": self.across_languages,
        }


REFUSED = Grounded("", (), 0.0, 0, (), refused=True)


@dataclass(frozen=True, slots=True)
class _Rest:
    """What a claim rests on: the hit (counted from 1), a quote of it, and the share of words found in it."""

    number: int
    quote: str
    share: float
    novel: tuple[str, ...] = ()
    across_languages: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """A sentence, or as much of it as a citation stands behind."""

    statement: Statement
    cited: tuple[int, ...]
    rests: tuple[_Rest, ...] = ()
    objection: Objection | None = None

    @property
    def is_small(self) -> bool:
        """Claims nothing ("Yes.", "Of course!")."""
        said = self.statement
        content = [word for word in said.words if word not in _FRAME]
        return not (said.quantities or said.names or said.exact) and len(content) < FEW_WORDS


@dataclass(frozen=True, slots=True)
class _Claim:
    gap: str
    text: str
    parts: tuple[_Part, ...]

    @property
    def is_small(self) -> bool:
        return all(part.is_small for part in self.parts)

    @property
    def supported(self) -> bool:
        return not self.is_small and all(part.rests or part.is_small for part in self.parts)

    @property
    def rests(self) -> tuple[_Rest, ...]:
        return tuple(rest for part in self.parts for rest in part.rests)

    @property
    def support(self) -> float:
        """The weakest part's."""
        return min(max(rest.share for rest in part.rests) for part in self.parts if part.rests)

    @property
    def objection(self) -> Objection:
        found = (part.objection for part in self.parts if part.objection)
        return next(found, Objection.UNSUPPORTED)


def ground(draft: str, hits: Sequence[Hit], language: str | None = None) -> Grounded:
    """Check every claim of a draft by its words.

    Args:
        draft: the model's text, with [n] after its claims.
        hits: the chunks it was given; [1] is the first.
        language: the draft's, if known.
    """
    checked = _check(draft, hits, language)
    return REFUSED if checked is None else _grounded(checked, hits)


async def verify(draft: str, hits: Sequence[Hit], language: str | None, embedder: Embedder) -> Grounded:
    """Check every claim by its words, and by its meaning where it has words that its chunk has not.

    The meaning is compared only by an embedder of this machine: an answer is not to wait for another provider.
    """
    checked = await asyncio.to_thread(_check, draft, hits, language)
    if checked is None:
        return REFUSED
    doubtful = [(index, rest) for index, claim in enumerate(checked) for rest in claim.rests if rest.novel]
    if doubtful and embedder.name.startswith(_LOCAL):
        texts = [text for index, rest in doubtful for text in (checked[index].text, rest.quote)]
        vectors = await embedder.embed(texts)
        likeness = (vectors[::2] * vectors[1::2]).sum(axis=1)
        for (index, rest), cosine in zip(doubtful, likeness, strict=True):
            if cosine < SAME_MEANING:
                checked[index] = _without(checked[index], rest)
    return _grounded(checked, hits)


def _check(draft: str, hits: Sequence[Hit], language: str | None) -> list[_Claim] | None:
    """The draft's claims, each with what it rests on; None for a refusal."""
    body = draft.replace(NO_ANSWER, "").strip()
    if not body or draft.strip().startswith(NO_ANSWER) or _REFUSAL.match(fold(body)):
        return None
    spoken = detect_language(fold(_MARK.sub("", body))) or language
    return [_checked(claim, hits, spoken) for claim in _claims(body, spoken)]


def _grounded(checked: Sequence[_Claim], hits: Sequence[Hit]) -> Grounded:
    kept = _with_small_words(checked)
    supports = [claim.support for claim in kept if claim.supported]
    text, citations = _numbered(kept, hits)
    removed = [claim for claim in checked if claim not in kept]
    return Grounded(
        text=text,
        citations=citations,
        support=sum(supports) / len(supports) if supports else 0.0,
        claims=len(checked),
        removed=tuple(claim.text for claim in removed),
        objections=tuple(claim.objection.value for claim in removed),
        across_languages=any(rest.across_languages for claim in kept for rest in claim.rests),
    )


def _without(claim: _Claim, rest: _Rest) -> _Claim:
    parts = [
        (
            replace(part, rests=tuple(other for other in part.rests if other is not rest), objection=Objection.MEANING)
            if rest in part.rests
            else part
        )
        for part in claim.parts
    ]
    return replace(claim, parts=tuple(parts))


def quoted(chosen: Sequence[Passage]) -> tuple[str, tuple[Citation, ...]]:
    """Passages as an answer, one paragraph each, with their citations. Passages of one chunk share a number."""
    numbers: dict[UUID, int] = {}
    parts, citations = [], []
    for passage in chosen:
        if passage.hit.chunk_id not in numbers:
            numbers[passage.hit.chunk_id] = len(numbers) + 1
            citations.append(_cite(passage.hit, passage.text))
        parts.append(f"{passage.shown} [{numbers[passage.hit.chunk_id]}]")
    return "\n\n".join(parts), tuple(citations)


def best_quote(hit: Hit, claim: str, language: str | None = None) -> str:
    """The passage of the chunk, verbatim, that shares most words with the claim."""
    wanted = set(terms(claim, language))
    found = [passage.text for passage in passages(hit)]
    return max(found, key=lambda quote: len(wanted & set(terms(quote, language)))) if found else hit.text


def _claims(body: str, language: str | None) -> Iterator[_Claim]:
    body = _MARKS_AFTER_END.sub(r"\2\1", body)
    behind = 0
    for start, end in spans(body):
        sentence = body[start:end]
        yield _Claim(body[behind:start], _MARK.sub("", sentence).strip(), tuple(_parts(sentence, language)))
        behind = end


def _parts(sentence: str, language: str | None) -> Iterator[_Part]:
    """The sentence cut behind its citations; what follows the last one belongs to it if it is only punctuation."""
    pieces = _MARKED_PIECE.findall(sentence)
    rest = _MARKED_PIECE.sub("", sentence)
    if not pieces or (len(pieces) > 1 and any(len(terms(piece, language)) < FEW_WORDS for piece, _ in pieces)):
        pieces, rest = [(_MARK.sub("", sentence), "".join(_MARK_ALONE.findall(sentence)))], ""
    if _END.fullmatch(rest):
        rest = ""
    for text, marks in [*pieces, (rest, "")] if rest else pieces:
        cited = tuple(dict.fromkeys(int(number) for number in _MARK.findall(marks)))
        yield _Part(Statement.of(text.strip(), language), cited)


def _checked(claim: _Claim, hits: Sequence[Hit], language: str | None) -> _Claim:
    """The claim with the chunks that support it, or without support."""
    parts = [part if part.is_small else _checked_part(part, hits, language) for part in claim.parts]
    return replace(claim, parts=tuple(parts))


def _checked_part(part: _Part, hits: Sequence[Hit], language: str | None) -> _Part:
    cited = [number for number in part.cited if 0 < number <= len(hits)]
    foreign = [number for number in cited if _is_foreign(hits[number - 1], language)]
    if foreign:
        return _across_languages(part, foreign, hits, language)
    said = _content(part.statement)
    found = {number: evidence(hits[number - 1], language).support(said) for number in cited}
    good = [number for number in cited if found[number].share >= SUPPORTED and not found[number].objection]
    if not good:
        found = {number: evidence(hit, language).support(said) for number, hit in enumerate(hits, start=1)}
        sound = [number for number, support in found.items() if not support.objection]
        best = max(sound, key=lambda number: found[number].share, default=0)
        good = [best] if best and found[best].share >= STRONGLY_SUPPORTED else []
    if not good:
        return replace(part, objection=_reason(found.values()))
    return replace(part, rests=tuple(_rest(number, hits[number - 1], found[number]) for number in good))


def _reason(found: Iterable[Support]) -> Objection:
    """What speaks against the claim in the chunk that comes nearest to it."""
    nearest = max(found, key=lambda support: support.share, default=None)
    if nearest is None or nearest.share < SUPPORTED or nearest.objection is None:
        return Objection.UNSUPPORTED
    return nearest.objection


def _rest(number: int, hit: Hit, support: Support) -> _Rest:
    quote = hit.text[support.start : support.end]
    return _Rest(number, quote, support.share, support.novel)


def _across_languages(part: _Part, foreign: Sequence[int], hits: Sequence[Hit], language: str | None) -> _Part:
    objections = {number: evidence(hits[number - 1], language).foreign_objection(part.statement) for number in foreign}
    good = [number for number in foreign if objections[number] is None]
    if not good:
        return replace(part, objection=objections[foreign[0]])
    rests = (
        _Rest(number, _quote_across_languages(hits[number - 1], part.statement), SUPPORTED, across_languages=True)
        for number in good
    )
    return replace(part, rests=tuple(rests))


def _with_small_words(checked: Sequence[_Claim]) -> list[_Claim]:
    """Supported claims, and the few words before them that claim nothing ("Yes.", "Of course!")."""
    kept = []
    for index, claim in enumerate(checked):
        following = checked[index + 1] if index + 1 < len(checked) else None
        if claim.supported or (claim.is_small and following is not None and following.supported):
            kept.append(claim)
    return kept


def _numbered(kept: Sequence[_Claim], hits: Sequence[Hit]) -> tuple[str, tuple[Citation, ...]]:
    numbers: dict[int, int] = {}
    citations: list[Citation] = []
    parts: list[str] = []
    for claim in kept:
        for rest in claim.rests:
            if rest.number not in numbers:
                numbers[rest.number] = len(numbers) + 1
                citations.append(_cite(hits[rest.number - 1], rest.quote))
        marks = "".join(f"[{number}]" for number in dict.fromkeys(numbers[rest.number] for rest in claim.rests))
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


def _content(statement: Statement) -> Statement:
    """The statement without words that only lead in to it."""
    return replace(statement, words=tuple(word for word in statement.words if word not in _FRAME))


def _is_foreign(hit: Hit, language: str | None) -> bool:
    written_in = evidence(hit, language).written_in
    return bool(language and written_in and base_language(language) != written_in)


def _quote_across_languages(hit: Hit, said: Statement) -> str:
    """The sentence that shares most numbers, names and addresses with the claim; the first if none does."""
    marks = (*said.exact, *said.names, *(quantity.value for quantity in said.quantities))
    sentences = [hit.text[start:end] for start, end in spans(hit.text)] or [hit.text]
    return max(sentences, key=lambda text: sum(mark in fold(text) for mark in marks))
