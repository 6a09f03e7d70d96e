"""Answers: does the extractive answerer say what answers, are its quotes verbatim, does the check of drafts hold?"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from evaluation.asked import Asked, ask
from evaluation.drafts import WRONG_CITATION, Draft, drafts
from evaluation.laboratory import laboratory
from evaluation.report import Cell, Goal, Report, Table
from packages.core.domain.knowledge import Citation
from packages.rag.documents import Hit
from packages.rag.embeddings import Embedder
from packages.rag.lexical import terms
from services.orchestrator.engine.compression import compress
from services.orchestrator.engine.confidence import THRESHOLD
from services.orchestrator.engine.extractive import ExtractiveAnswerer
from services.orchestrator.engine.grounding import quoted, verify

SAME = 0.6
"""Share of content words from which on an answer says what the reference says."""
BUDGETS = (0.75, 0.5, 0.35, 0.25)
EVERY = 4
"""Every so many questions are asked with shortened knowledge."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said to a question, with its citations and whether that is the reference's answer."""

    asked: Asked
    text: str
    citations: tuple[Citation, ...]

    @property
    def is_right(self) -> bool:
        """Most of the reference is said, or most of what is said is the reference's."""
        said, wanted = _words(self.text), _words(self.asked.question.answer or "")
        shared = len(said & wanted)
        return shared >= SAME * len(wanted) or shared >= SAME * max(len(said), 1)


async def evaluate() -> Report:
    """Everything, with the built-in embedder."""
    async with laboratory() as lab:
        asked = await ask(lab, "whole")
        embedder = lab.knowledge.embedder
        checked = [(draft, await _went_out(draft, embedder)) for draft in drafts()]
        shortened = await _compression([item for item in asked if item.question.answer][::EVERY], embedder)
    return report([say(item) for item in asked if item.is_answerable], checked, shortened)


def say(item: Asked) -> Said:
    """What a customer would read, without the marks of its citations."""
    chosen = item.extract.passages if item.extract else ()
    return Said(item, "\n\n".join(passage.shown for passage in chosen), quoted(chosen)[1])


def report(said: Sequence[Said], checked: Sequence[tuple[Draft, bool]], shortened: Table) -> Report:
    """Tables of what is said, of the check of drafts and of shortened knowledge; every quote must be verbatim."""
    found = Report("Answers")
    found.tables += [_said(said), _drafts(checked), shortened]
    quotes = [(citation, item.asked.hits) for item in said for citation in item.citations]
    found.goals.append(
        Goal("quotes found verbatim in their chunk", _share(_is_verbatim(*each) for each in quotes), 1.0)
    )
    true = [out for draft, out in checked if draft.is_true]
    false = [out for draft, out in checked if not draft.is_true]
    found.goals.append(Goal("wrong drafts that go out", _share(false), at_most=0.05))
    found.goals.append(Goal("true drafts that go out", _share(true), at_least=0.85))
    return found


def _said(said: Sequence[Said]) -> Table:
    groups: defaultdict[str, list[Said]] = defaultdict(list)
    for item in said:
        if item.asked.question.answer and item.asked.confidence >= THRESHOLD:
            groups[f"{item.asked.question.collection}, {item.asked.question.kind}"].append(item)
    rows: list[list[Cell]] = [
        [name, len(group), _percent(item.is_right for item in group), round(median(len(item.text) for item in group))]
        for name, group in sorted(groups.items())
    ]
    return Table("Answered questions whose answer is the reference's", ["", "answered", "right", "characters"], rows)


def _drafts(checked: Sequence[tuple[Draft, bool]]) -> Table:
    groups: defaultdict[str, list[bool]] = defaultdict(list)
    for draft, went_out in checked:
        groups[draft.kind].append(went_out)
    rows: list[list[Cell]] = [[kind, len(group), _percent(group)] for kind, group in groups.items()]
    return Table("Sentences of a draft that go out", ["", "sentences", "go out"], rows)


async def _went_out(draft: Draft, embedder: Embedder) -> bool:
    """Whether the sentence goes out; one that only cites wrongly must not go out with that citation."""
    found = await verify(draft.text, draft.hits, "en", embedder)
    if draft.kind != WRONG_CITATION:
        return bool(found.text)
    return any(citation.chunk_id == str(draft.hits[1].chunk_id) for citation in found.citations)


async def _compression(asked: Sequence[Asked], embedder: Embedder) -> Table:
    """What shortening saves, and how much of the reference answers is lost from what a model would read."""
    scorer = ExtractiveAnswerer(embedder)
    whole = fmean(_held(item, item.hits) for item in asked)
    rows: list[list[Cell]] = [["whole", "0%", f"{whole:.1%}", "0.0%"]]
    for share in BUDGETS:
        saved, held = [], []
        for item in asked:
            tokens = sum(embedder.count_tokens([hit.text for hit in item.hits]))
            short = await compress(item.question.text, item.hits, round(share * tokens), scorer, embedder)
            saved.append(1 - short.tokens_after / max(short.tokens_before, 1))
            held.append(_held(item, short.hits))
        rows.append(
            [f"{share:.0%} of the tokens", f"{fmean(saved):.0%}", f"{fmean(held):.1%}", f"{whole - fmean(held):.1%}"]
        )
    columns = ["budget", "tokens saved", "of the reference answer's words held", "lost"]
    return Table("Shortened knowledge (`context_tokens`)", columns, rows)


def _held(item: Asked, hits: Sequence[Hit]) -> float:
    wanted = _words(item.question.answer or "")
    known = frozenset[str]().union(*(_words(hit.text) for hit in hits))
    return len(wanted & known) / max(len(wanted), 1)


def _is_verbatim(citation: Citation, hits: Sequence[Hit]) -> bool:
    return any(str(hit.chunk_id) == citation.chunk_id and citation.quote in hit.text for hit in hits)


def _words(text: str) -> frozenset[str]:
    return frozenset(terms(text))


def _share(values: Iterable[bool]) -> float:
    return fmean(list(values) or [0.0])


def _percent(values: Iterable[bool]) -> str:
    return f"{fmean(values):.0%}"
