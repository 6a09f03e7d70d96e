"""Evaluation items out of real conversations, without personal data."""

from typing import Any
from uuid import UUID

import msgspec

from packages.core.db.direct import Statement, Transaction
from packages.rag.lexical import query_terms
from services.orchestrator.engine import intents
from services.orchestrator.knowledge_tools.privacy import kept

LEAST_TERMS = 2
_MARKED = " [%d]"

# What an admin approved or dismissed counts for all of a gap's questions; else what the agent of that talk wrote.
_GAPS = Statement("""
SELECT q.conversation_id, q.question, q.history::text AS history, g.status = 'dismissed' AS abstain,
       CASE WHEN g.status = 'answered' THEN g.draft_answer ELSE NULLIF(q.agent_answer, '') END AS answer,
       CASE WHEN g.status = 'answered' THEN g.source_id END AS source_id
FROM gap_question q JOIN knowledge_gap g ON g.id = q.gap_id
WHERE q.brand_id = :brand_id AND q.replied_at > now() - make_interval(days => :days)
    AND (g.status IN ('answered', 'dismissed') OR NULLIF(q.agent_answer, '') IS NOT NULL)
ORDER BY q.replied_at DESC LIMIT :most
""")
_ANSWERS = Statement("""
SELECT m.conversation_id, m.text AS answer, m.citations::text AS citations, asked.text AS question, b.locale,
       COALESCE(before.messages, '[]')::text AS history
FROM conversation c JOIN brand b ON b.id = c.brand_id JOIN message_log m ON m.conversation_id = c.id
CROSS JOIN LATERAL (
    SELECT string_agg(q.text, E'\\n' ORDER BY q.seq) AS text, min(q.seq) AS seq FROM message_log q
    WHERE q.answered_by = m.id AND q.conversation_id = c.id AND q.author = 'customer'
) asked
CROSS JOIN LATERAL (
    SELECT json_agg(json_build_array(p.author, p.text) ORDER BY p.seq) AS messages FROM (
        SELECT h.author, h.text, h.seq FROM message_log h
        WHERE h.conversation_id = c.id AND h.seq < asked.seq AND h.author IN ('customer', 'bot', 'agent')
            AND h.direction <> 'internal' AND h.text <> '' AND h.status <> 'void'
        ORDER BY h.seq DESC LIMIT 6
    ) p
) before
WHERE c.brand_id = :brand_id AND c.last_message_at > now() - make_interval(days => :days)
    AND m.author = 'bot' AND m.citations <> '[]' AND m.status IN ('sent', 'delivered', 'read')
    AND asked.text IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM message_log later WHERE later.conversation_id = c.id AND later.seq > m.seq
            AND (later.author = 'agent' OR later.trace->>'wants_person' = 'true')
    )
ORDER BY m.created_at DESC LIMIT :most
""")


async def from_gaps(on: Transaction, brand_id: UUID, *, days: int, most: int) -> list[dict[str, Any]]:
    """Items out of gaps: the answer that was approved, or an agent's; none expected where the gap was dismissed."""
    return [
        {
            "question": row.question,
            "history": msgspec.json.decode(row.history),
            "answer": None if row.abstain else row.answer,
            "source_ids": [str(row.source_id)] if row.source_id and not row.abstain else [],
            "abstain": row.abstain,
            "conversation_id": row.conversation_id,
        }
        for row in await _GAPS.fetch(on, brand_id=brand_id, days=days, most=most)
    ]


async def from_answers(on: Transaction, brand_id: UUID, *, days: int, most: int) -> list[dict[str, Any]]:
    """Items out of answers that the bot gave with citations, where nobody had to take over afterwards."""
    rows = await _ANSWERS.fetch(on, brand_id=brand_id, days=days, most=most)
    return [_from_answer(row) for row in rows if _is_question(row.question)]


def _from_answer(row: Any) -> dict[str, Any]:
    citations = msgspec.json.decode(row.citations)
    answer = row.answer
    for number in range(1, len(citations) + 1):
        answer = answer.replace(_MARKED % number, "")
    return {
        "question": kept(row.question, row.locale),
        "history": [[author, kept(text, row.locale)] for author, text in msgspec.json.decode(row.history)],
        "answer": kept(answer, row.locale),
        "source_ids": sorted({str(citation["source_id"]) for citation in citations}),
        "abstain": False,
        "conversation_id": row.conversation_id,
    }


def _is_question(text: str) -> bool:
    return intents.small_talk(text) is None and len(query_terms(text)) >= LEAST_TERMS
