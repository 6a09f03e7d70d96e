"""Rows of cells to blocks: question and answer pairs where the header says so, else a table."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from packages.rag.documents import BlockKind
from packages.rag.parsing import Outline, clean, one_line, pipe_table

_QUESTION_NAMES = "question questions q faq frage pregunta pergunta domanda vraag 问题 질문 質問 вопрос"
_ANSWER_NAMES = """
answer answers a response reply antwort respuesta réponse reponse resposta risposta antwoord 答案 回答 答え ответ
"""
_QUESTIONS = frozenset(_QUESTION_NAMES.split())
_ASKS = ("?", "？", "؟")
_FEWEST_PAIRS = 2
_ANSWERS = frozenset(_ANSWER_NAMES.split())


def add_rows(rows: Sequence[Sequence[str]], outline: Outline) -> None:
    """Add a sheet. With a question and an answer column each row is a pair; otherwise it is one table."""
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    if not filled:
        return
    header = [one_line(cell).casefold() for cell in filled[0]]
    question = next((index for index, name in enumerate(header) if name in _QUESTIONS), None)
    answer = next((index for index, name in enumerate(header) if name in _ANSWERS and index != question), None)
    if question is not None and answer is not None:
        for row in filled[1:]:
            if max(question, answer) < len(row):
                add_pair(row[question], row[answer], outline)
    elif _are_pairs(filled):
        for row in filled:
            asked, *said = [cell for cell in row if cell.strip()]
            add_pair(asked, "\n".join(said), outline)
    else:
        outline.add(BlockKind.TABLE, pipe_table(filled))


def _are_pairs(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table without a telling header is two columns of questions and answers."""
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    return len(rows) >= _FEWEST_PAIRS and all(len(row) == 2 and row[0].endswith(_ASKS) for row in cells)


def add_sheet(rows: Sequence[Sequence[str]], outline: Outline) -> None:
    """Add a sheet of a workbook: empty rows and columns set its tables apart, a lone cell above one is its title."""
    for region in _regions(rows):
        while len(region) > 1 and sum(bool(cell) for cell in region[0]) == 1 and len(region[0]) > 1:
            outline.add(BlockKind.PARAGRAPH, next(cell for cell in region[0] if cell))
            region = region[1:]
        if len(region) == 1 or max(len(row) for row in region) == 1:
            for row in region:
                outline.add(BlockKind.PARAGRAPH, " ".join(cell for cell in row if cell))
        else:
            add_rows(region, outline)


def _regions(rows: Sequence[Sequence[str]]) -> Iterator[list[list[str]]]:
    """Parts of a sheet that are full of cells, without the empty columns around them."""
    for filled, run in groupby(rows, key=lambda row: any(cell.strip() for cell in row)):
        if not filled:
            continue
        part = [list(row) for row in run]
        width = max(len(row) for row in part)
        part = [[cell.strip() for cell in row] + [""] * (width - len(row)) for row in part]
        used = [column for column in range(width) if any(row[column] for row in part)]
        start = 0
        for end in range(1, len(used) + 1):
            if end == len(used) or used[end] != used[end - 1] + 1:
                columns = used[start:end]
                side = [[row[column] for column in columns] for row in part]
                yield [row for row in side if any(row)]
                start = end


def add_pair(question: str, answer: str, outline: Outline) -> None:
    """Add a question with its answer; nothing if either is empty."""
    asked, said = one_line(question), clean(answer)
    if asked and said:
        outline.add(BlockKind.FAQ, f"{asked}\n{said}")
