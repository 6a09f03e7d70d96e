"""Documents are cut along their structure, and nothing is lost on the way."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from packages.rag.chunking import ChunkingOptions, chunk_document
from packages.rag.documents import Block, BlockKind, Chunk, Document


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def count_letters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def cut(*blocks: Block, max_tokens: int = 40, overlap: int = 0, title: str = "") -> list[Chunk]:
    return chunk_document(
        Document(blocks=blocks),
        count_tokens=count_words,
        title=title,
        options=ChunkingOptions(max_tokens=max_tokens, overlap_tokens=overlap),
    )


def block(text: str, kind: BlockKind = BlockKind.PARAGRAPH, *headings: str, page: int | None = None) -> Block:
    return Block(kind=kind, text=text, headings=headings, page=page)


def sentence(number: int, words: int = 10) -> str:
    return " ".join([f"Sentence{number}", *["word"] * (words - 2), "end."])


class TestStructure:
    def test_headings_travel_with_each_chunk(self) -> None:
        chunks = cut(block("Text.", BlockKind.PARAGRAPH, "Guide", "Reset"), title="Phones")
        assert chunks[0].headings == ("Guide", "Reset")
        assert chunks[0].indexed_text == "Phones > Guide > Reset\nText."
        assert chunks[0].text == "Text."

    def test_a_chunk_never_crosses_a_heading(self) -> None:
        chunks = cut(block("One.", BlockKind.PARAGRAPH, "A"), block("Two.", BlockKind.PARAGRAPH, "B"))
        assert [(chunk.text, chunk.headings) for chunk in chunks] == [("One.", ("A",)), ("Two.", ("B",))]

    def test_a_chunk_never_crosses_a_page(self) -> None:
        chunks = cut(block("One.", page=1), block("Two.", page=2))
        assert [(chunk.text, chunk.page) for chunk in chunks] == [("One.", 1), ("Two.", 2)]

    def test_a_heading_with_nothing_below_is_kept_as_text(self) -> None:
        chunks = cut(block("We ship to Mars", BlockKind.HEADING), block("Returns", BlockKind.HEADING), block("No."))
        assert "We ship to Mars" in "\n".join(chunk.text for chunk in chunks)

    def test_a_heading_with_text_below_is_not_repeated_as_text(self) -> None:
        chunks = cut(block("Returns", BlockKind.HEADING), block("No.", BlockKind.PARAGRAPH, "Returns"))
        assert [chunk.text for chunk in chunks] == ["No."]

    def test_positions_count_from_zero(self) -> None:
        chunks = cut(*[block("Text.", BlockKind.PARAGRAPH, str(number)) for number in range(3)])
        assert [chunk.position for chunk in chunks] == [0, 1, 2]

    def test_an_empty_document_has_no_chunks(self) -> None:
        assert cut() == []
        assert cut(block("  \n ")) == []


class TestSizes:
    def test_no_chunk_is_larger_than_allowed(self) -> None:
        chunks = cut(block(" ".join(sentence(number) for number in range(50))), overlap=12)
        assert max(chunk.token_count for chunk in chunks) <= 40

    def test_cuts_fall_between_sentences(self) -> None:
        chunks = cut(block(" ".join(sentence(number) for number in range(9))))
        assert all(chunk.text.startswith("Sentence") and chunk.text.endswith("end.") for chunk in chunks)

    def test_without_overlap_the_text_is_whole_and_stands_once(self) -> None:
        text = " ".join(sentence(number) for number in range(23))
        assert " ".join(chunk.text for chunk in cut(block(text))) == text

    def test_overlap_repeats_whole_sentences(self) -> None:
        chunks = cut(block(" ".join(sentence(number) for number in range(12))), overlap=15)
        for before, after in pairwise(chunks):
            assert after.text.split(". ")[0] in before.text

    def test_chunks_of_a_section_are_of_about_equal_size(self) -> None:
        chunks = cut(block(" ".join(sentence(number) for number in range(5))))
        assert [chunk.token_count for chunk in chunks] in ([30, 20], [20, 30])

    def test_title_and_headings_count_against_the_embedders_limit(self) -> None:
        document = Document(blocks=(block("word " * 300, BlockKind.PARAGRAPH, "long heading " * 10),))
        chunks = chunk_document(document, count_tokens=count_words, title="Title", embedder_limit=100)
        assert max(count_words([chunk.indexed_text for chunk in chunks])) <= 100

    def test_a_giant_word_is_cut(self) -> None:
        document = Document(blocks=(block("x" * 1000),))
        chunks = chunk_document(document, count_tokens=count_letters, options=ChunkingOptions(max_tokens=100))
        assert "".join(chunk.text for chunk in chunks) == "x" * 1000
        assert max(chunk.token_count for chunk in chunks) <= 100

    def test_text_without_spaces_is_cut_between_its_sentences(self) -> None:
        document = Document(blocks=(block("重置密码需要十分钟。" * 30),))
        options = ChunkingOptions(max_tokens=100, overlap_tokens=0)
        chunks = chunk_document(document, count_tokens=count_letters, options=options)
        assert len(chunks) > 1
        assert all(chunk.text.endswith("。") and chunk.token_count <= 100 for chunk in chunks)

    @pytest.mark.parametrize(("size", "overlap"), [(10, 0), (100, 60), (100, -1)])
    def test_impossible_sizes_are_refused(self, size: int, overlap: int) -> None:
        with pytest.raises(ValueError, match="tokens"):
            ChunkingOptions(max_tokens=size, overlap_tokens=overlap)

    def test_other_sizes_have_another_fingerprint(self) -> None:
        prints = {
            ChunkingOptions(max_tokens=size, overlap_tokens=lap).fingerprint for size in (64, 99) for lap in (1, 2)
        }
        assert len(prints) == 4


class TestWholeThings:
    def test_a_faq_pair_is_a_chunk_of_its_own(self) -> None:
        pairs = [block(f"Question {number}?\nAnswer {number}.", BlockKind.FAQ) for number in range(3)]
        chunks = cut(block("Intro."), *pairs)
        assert [(chunk.kind, chunk.text) for chunk in chunks[1:]] == [("faq", pair.text) for pair in pairs]

    def test_a_large_answer_is_cut_under_its_repeated_question(self) -> None:
        answer = " ".join(sentence(number) for number in range(9))
        chunks = cut(block(f"Why is that?\n{answer}", BlockKind.FAQ))
        assert len(chunks) > 1
        assert all(chunk.text.startswith("Why is that?\n") and chunk.kind == "faq" for chunk in chunks)
        assert max(chunk.token_count for chunk in chunks) <= 40

    def test_a_table_stays_whole_while_it_fits(self) -> None:
        table = "| Plan | Price |\n| --- | --- |\n| Basic | 5 |"
        assert [chunk.text for chunk in cut(block(table, BlockKind.TABLE))] == [table]

    def test_a_large_table_repeats_its_header(self) -> None:
        rows = [f"| Plan {number} | {number} |" for number in range(20)]
        table = "\n".join(["| Plan | Price |", "| --- | --- |", *rows])
        chunks = cut(block(table, BlockKind.TABLE))
        assert len(chunks) > 1
        assert all(chunk.text.startswith("| Plan | Price |\n| --- | --- |\n") for chunk in chunks)
        kept = [line for chunk in chunks for line in chunk.text.split("\n")[2:]]
        assert kept == rows

    def test_code_breaks_between_lines_only(self) -> None:
        code = "\n".join(f"call(a, b, c, {number})" for number in range(40))
        chunks = cut(block(code, BlockKind.CODE))
        assert all(line in code.split("\n") for chunk in chunks for line in chunk.text.split("\n"))
        assert {chunk.kind for chunk in chunks} == {"code"}

    def test_the_same_text_under_another_heading_has_another_hash(self) -> None:
        one, two = cut(block("Text.", BlockKind.PARAGRAPH, "A"), block("Text.", BlockKind.PARAGRAPH, "B"))
        assert one.content_hash != two.content_hash
