"""Rows of cells to blocks: question and answer pairs where the header says so, else a table."""

from collections.abc import Sequence

from packages.rag.documents import BlockKind
from packages.rag.parsing import Outline, clean, one_line, pipe_table

_QUESTION_NAMES = "question questions q faq frage pregunta pergunta domanda vraag 问题 질문 質問 вопрос"
_ANSWER_NAMES = """
answer answers a response reply antwort respuesta réponse reponse resposta risposta antwoord 答案 回答 答え ответ
"""
_QUESTIONS = frozenset(_QUESTION_NAMES.split())
_ANSWERS = frozenset(_ANSWER_NAMES.split())


def add_rows(rows: Sequence[Sequence[str]], outline: Outline) -> None:
    """Add a sheet. With a question and an answer column each row is a pair; otherwise it is one table."""
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    if not filled:
        return
    header = [one_line(cell).casefold() for cell in filled[0]]
    question = next((index for index, name in enumerate(header) if name in _QUESTIONS), None)
    answer = next((index for index, name in enumerate(header) if name in _ANSWERS and index != question), None)
    if question is None or answer is None:
        outline.add(BlockKind.TABLE, pipe_table(filled))
        return
    for row in filled[1:]:
        if max(question, answer) < len(row):
            add_pair(row[question], row[answer], outline)


def add_pair(question: str, answer: str, outline: Outline) -> None:
    """Add a question with its answer; nothing if either is empty."""
    asked, said = one_line(question), clean(answer)
    if asked and said:
        outline.add(BlockKind.FAQ, f"{asked}\n{said}")
