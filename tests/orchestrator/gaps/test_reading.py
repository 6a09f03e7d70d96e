"""What was asked, read off a conversation."""

from typing import Any

import pytest

from packages.core.db.base import new_id, now
from services.orchestrator.gaps.reading import Reply, Said, agents_answer, question_of

REPLY = new_id()


def reply(*before: Said, **trace: Any) -> Reply:
    return Reply(
        id=REPLY, tenant_id=new_id(), brand_id=new_id(), conversation_id=new_id(), locale="en-US", replied_at=now(),
        trace=trace, before=before,
    )  # fmt: skip


def customer(text: str, answered_by: object = REPLY) -> Said:
    return Said(id=str(new_id()), author="customer", text=text, answered_by=str(answered_by) if answered_by else None)


def bot(text: str, message_id: object, *, abstained: bool = False) -> Said:
    return Said(id=str(message_id), author="bot", text=text, abstained=abstained)


class TestWithheld:
    def test_a_burst_is_one_question(self) -> None:
        found = question_of(reply(customer("Hi"), customer("Do you ship to Norway?"), abstained=True))
        assert (found.reason, found.question) == ("withheld", "Hi\nDo you ship to Norway?")

    def test_what_was_searched_for_stands_on_its_own(self) -> None:
        earlier = new_id()
        before = [customer("What does shipping cost?", earlier), bot("Five euros.", earlier), customer("and Norway?")]
        found = question_of(reply(*before, abstained=True, query="What does shipping cost? and Norway?"))
        assert found.question == "and Norway?"
        assert found.query == "What does shipping cost? and Norway?"
        assert found.history == (("customer", "What does shipping cost?"), ("bot", "Five euros."))

    def test_personal_data_is_not_kept(self) -> None:
        found = question_of(reply(customer("I am robin@example.com, where is it?"), abstained=True))
        assert "robin" not in found.question + found.query

    def test_a_reply_to_nothing_that_can_be_read(self) -> None:
        assert question_of(reply(customer(""), abstained=True)).question == ""

    def test_a_failure_of_the_bot(self) -> None:
        assert question_of(reply(customer("Do you ship to Norway?"), failed=True)).reason == "failed"


class TestWishForAPerson:
    def test_means_the_question_whose_answer_did_not_help(self) -> None:
        earlier = new_id()
        before = [customer("Do you ship to Norway?", earlier), bot("We ship.", earlier), customer("Talk to a person")]
        found = question_of(reply(*before, wants_person=True))
        assert (found.reason, found.question) == ("handed_over", "Do you ship to Norway?")

    def test_is_not_counted_again_after_a_withheld_answer(self) -> None:
        earlier = new_id()
        before = [
            customer("Do you ship to Norway?", earlier),
            bot("I do not know.", earlier, abstained=True),
            customer("Talk to a person"),
        ]
        assert question_of(reply(*before, wants_person=True)).question == ""

    def test_of_itself_asks_nothing(self) -> None:
        assert question_of(reply(customer("Talk to a person please"), wants_person=True)).question == ""

    def test_may_say_what_it_is_for(self) -> None:
        text = "I want to speak to an agent because my parcel to Norway arrived broken yesterday"
        assert question_of(reply(customer(text), wants_person=True)).question == text

    def test_small_talk_before_it_is_passed_over(self) -> None:
        first, second = new_id(), new_id()
        before = [
            customer("Do you ship to Norway?", first),
            bot("We ship.", first),
            customer("thanks", second),
            bot("You are welcome.", second),
            customer("Talk to a person"),
        ]
        assert question_of(reply(*before, wants_person=True)).question == "Do you ship to Norway?"


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (["Hello!", "We ship to Norway within five days.", "Bye"], "We ship to Norway within five days."),
        (["We ship to Norway.", "Parcels take five days."], "Parcels take five days."),
        (["Which order number do you have?"], ""),
        (["Write to kari@example.com about shipping parcels abroad."], None),
        ([], ""),
    ],
)
def test_what_of_an_agents_messages_answers(texts: list[str], answer: str | None) -> None:
    found = agents_answer(texts, "en-US")
    assert "kari@" not in found
    if answer is not None:
        assert answer in found
        assert "Hello" not in found
