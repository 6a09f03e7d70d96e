"""What events do to the messages that are there: edits, deletions, reactions, moves, words from elsewhere, files."""

import itertools
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from packages.core.config import TurnSettings
from packages.core.db.repositories import deliveries
from packages.core.db.repositories.deliveries import Draft
from packages.core.db.session import Database
from packages.core.domain.messages import Attachment, InboundEvent
from services.orchestrator.intake import Intake, Taken
from tests.factories.accounts import TenantWithBrand, make_tenant
from tests.factories.pipeline import make_channel, message_event

_numbers = itertools.count(1)
PHOTO = Attachment(kind="image", external_id="media-1", media_type="image/jpeg")
VIDEO = Attachment(kind="video", external_id="media-2", media_type="video/mp4")
STORY = Attachment(kind="share", url="https://cdn.example/story")


class Setting:
    """One brand's account, and the intake that takes its events."""

    def __init__(self, database: Database, owner: TenantWithBrand, channel: UUID, intake: Intake) -> None:
        self.database, self.owner, self.channel, self.intake = database, owner, channel, intake

    def event(self, words: str | None = "hello", **more: Any) -> InboundEvent:
        external_id = more.pop("external_id", f"wamid.effect{next(_numbers)}")
        return message_event(self.owner, self.channel, words, external_id=external_id, **more)  # type: ignore[arg-type]

    async def take(self, words: str | None = "hello", **more: Any) -> Taken:
        (taken,) = await self.intake.take([self.event(words, **more)])
        return taken

    async def row(self, sql: str, **values: Any) -> Any:
        async with self.database.across_tenants() as session:
            return (await session.execute(text(sql), values)).mappings().first()

    async def message(self, taken: Taken) -> Any:
        return await self.row("SELECT * FROM message_log WHERE id = :id", id=taken.message_id)

    async def conversation(self, taken: Taken) -> Any:
        return await self.row("SELECT * FROM conversation WHERE id = :id", id=taken.conversation_id)

    async def turn(self, taken: Taken) -> Any:
        sql = "SELECT *, extract(epoch FROM due_at - now()) AS wait FROM pending_turn WHERE conversation_id = :id"
        return await self.row(sql, id=taken.conversation_id)


@pytest_asyncio.fixture
async def setting(database: Database, redis: Redis) -> Setting:
    owner = await make_tenant(database)
    intake = Intake(database, redis, TurnSettings(), lambda _seconds: None)
    return Setting(database, owner, await make_channel(database, owner), intake)


class TestEdit:
    async def test_changes_the_words_and_keeps_the_old_ones(self, setting: Setting) -> None:
        first = await setting.take("I want a blue one", external_id="wamid.a")
        await setting.take("I want a red one", kind="edit", target="wamid.a")
        row = await setting.message(first)
        assert row["text"] == "I want a red one"
        assert [edit["text"] for edit in row["content"]["edits"]] == ["I want a blue one"]

    async def test_voids_a_reply_under_way(self, setting: Setting) -> None:
        first = await setting.take("blue", external_id="wamid.a")
        before = (await setting.conversation(first))["epoch"]
        await setting.take("red", kind="edit", target="wamid.a")
        assert (await setting.conversation(first))["epoch"] == before + 1

    async def test_may_come_before_what_it_edits(self, setting: Setting) -> None:
        await setting.take("red", kind="edit", target="wamid.late")
        late = await setting.take("blue", external_id="wamid.late")
        assert (await setting.message(late))["text"] == "red"

    async def test_in_one_batch_with_what_it_edits(self, setting: Setting) -> None:
        first, _ = await setting.intake.take(
            [setting.event("blue", external_id="wamid.a"), setting.event("red", kind="edit", target="wamid.a")]
        )
        assert (await setting.message(first))["text"] == "red"

    async def test_of_another_accounts_message_changes_nothing(self, setting: Setting) -> None:
        first = await setting.take("blue", external_id="wamid.a")
        other = Setting(
            setting.database, setting.owner, await make_channel(setting.database, setting.owner), setting.intake
        )
        await other.take("red", kind="edit", target="wamid.a")
        assert (await setting.message(first))["text"] == "blue"


class TestDelete:
    async def test_takes_the_words_from_everywhere(self, setting: Setting) -> None:
        first = await setting.take("my secret", external_id="wamid.a", attachments=(PHOTO,))
        await setting.take(None, kind="delete", target="wamid.a")
        row = await setting.message(first)
        assert (row["text"], row["content"]) == (None, {"deleted": True})
        ledger = await setting.row(
            "SELECT event::text AS event FROM inbound_ledger WHERE message_id = :id", id=row["id"]
        )
        assert "my secret" not in ledger["event"]
        file = await setting.row("SELECT state, external_id FROM media WHERE message_id = :id", id=row["id"])
        assert (file["state"], file["external_id"]) == ("gone", None)

    async def test_leaves_nothing_to_answer(self, setting: Setting) -> None:
        first = await setting.take("my secret", external_id="wamid.a")
        await setting.take(None, kind="delete", target="wamid.a")
        assert (await setting.message(first))["status"] == "noted"

    async def test_may_come_before_what_it_deletes(self, setting: Setting) -> None:
        await setting.take(None, kind="delete", target="wamid.late")
        late = await setting.take("my secret", external_id="wamid.late")
        assert (await setting.message(late))["text"] is None

    async def test_an_edit_does_not_bring_it_back(self, setting: Setting) -> None:
        first = await setting.take("my secret", external_id="wamid.a")
        await setting.take(None, kind="delete", target="wamid.a")
        await setting.take("my secret!", kind="edit", target="wamid.a")
        assert (await setting.message(first))["text"] is None


class TestReaction:
    async def test_is_shown_on_its_message_until_taken_back(self, setting: Setting) -> None:
        first = await setting.take("thanks", external_id="wamid.a")
        await setting.take("👍", kind="reaction", target="wamid.a")
        assert (await setting.message(first))["content"]["reactions"] == {"15550001": "👍"}
        await setting.take(None, kind="reaction", target="wamid.a")
        assert (await setting.message(first))["content"]["reactions"] == {}

    async def test_voids_no_reply_and_asks_for_none(self, setting: Setting) -> None:
        first = await setting.take("thanks", external_id="wamid.a")
        before = (await setting.conversation(first))["epoch"]
        reaction = await setting.take("👍", kind="reaction", target="wamid.a")
        assert (await setting.conversation(first))["epoch"] == before
        assert (await setting.message(reaction))["status"] == "noted"
        assert reaction.state == "answered"


class TestMove:
    async def test_replies_go_to_the_new_address_and_the_customer_stays(self, setting: Setting) -> None:
        first = await setting.take("hello", sender="15550001")
        await setting.take(None, kind="system", sender="15550001", moved_to="15559999")
        assert (await setting.conversation(first))["recipient"] == "15559999"
        again = await setting.take("hello again", sender="15559999")
        assert again.conversation_id == first.conversation_id

    async def test_an_open_conversation_at_the_new_address_goes_on(self, setting: Setting) -> None:
        old = await setting.take("hello", sender="15550001")
        new = await setting.take("hello", sender="15559999")
        await setting.take(None, kind="system", sender="15550001", moved_to="15559999")
        assert (await setting.conversation(old))["recipient"] == "15550001"
        assert (await setting.conversation(new))["recipient"] == "15559999"


class TestEcho:
    async def test_words_from_the_brands_own_app_are_ours_and_silence_the_bot(self, setting: Setting) -> None:
        first = await setting.take("Are you open?")
        echo = await setting.take("Yes, until six.", echo=True)
        row, conversation = await setting.message(echo), await setting.conversation(first)
        assert (row["direction"], row["author"], row["status"]) == ("outbound", "agent", "sent")
        assert (conversation["owner"], conversation["owner_reason"]) == ("human", "answered in the brand's own app")
        assert await setting.turn(first) is None
        assert (await setting.message(first))["answered_by"] == row["id"]

    @pytest.mark.parametrize(("state", "external_id"), [("sent", "wamid.ours"), ("sending", None)])
    async def test_of_our_own_send_says_that_it_was_sent_and_nothing_else(
        self, setting: Setting, state: str, external_id: str | None
    ) -> None:
        first = await setting.take("Are you open?")
        draft = Draft(
            tenant_id=setting.owner.tenant_id,
            brand_id=setting.owner.brand_id,
            conversation_id=first.conversation_id or UUID(int=0),
            channel_config_id=setting.channel,
            recipient="15550001",
            author="bot",
            text="Yes, until six.",
        )
        async with setting.database.tenant(setting.owner.tenant_id) as session:
            await deliveries.queue(session, draft, republish_seconds=60)
            values = {"state": state, "external_id": external_id, "id": draft.id}
            await session.execute(
                text("UPDATE delivery SET state = :state, external_id = :external_id WHERE id = :id"), values
            )
        echo = await setting.take("Yes, until six.", echo=True, external_id="wamid.ours")
        assert (echo.state, echo.message_id) == ("answered", draft.id)
        assert (await setting.conversation(first))["owner"] == "bot"
        sent = await setting.row("SELECT state, external_id FROM delivery WHERE id = :id", id=draft.id)
        assert (sent["state"], sent["external_id"]) == ("sent", "wamid.ours")
        count = await setting.row("SELECT count(*) AS n FROM message_log WHERE direction = 'outbound'")
        assert count["n"] == 1

    async def test_does_not_open_the_window_for_replies(self, setting: Setting) -> None:
        echo = await setting.take("We have news", echo=True)
        assert (await setting.conversation(echo))["last_customer_message_at"] is None


class TestWhatIsNotAnswered:
    @pytest.mark.parametrize(
        "more",
        [
            {"historic": True},
            {"standby": True},
            {"kind": "preference"},
            {"kind": "sticker"},
            {"conversation_id": "group-1"},
        ],
    )
    async def test_is_kept_and_makes_no_turn(self, setting: Setting, more: dict[str, Any]) -> None:
        taken = await setting.take("hello", **more)
        assert (await setting.message(taken))["status"] == "noted"
        assert await setting.turn(taken) is None

    async def test_a_group_message_to_the_bot_is_answered(self, setting: Setting) -> None:
        taken = await setting.take("@shopbot hello", conversation_id="group-1", addressed=True)
        assert await setting.turn(taken) is not None
        assert (await setting.message(taken))["content"]["sender"]["name"] == "Robin"


class TestFiles:
    async def test_are_to_be_fetched_but_for_what_may_not_be_kept(self, setting: Setting) -> None:
        taken = await setting.take(None, kind="image", attachments=(STORY, PHOTO))
        file = await setting.row("SELECT * FROM media WHERE message_id = :id", id=taken.message_id)
        assert (file["place"], file["state"], file["reading"], file["external_id"]) == (
            1,
            "pending",
            "wanted",
            "media-1",
        )
        kept = (await setting.message(taken))["content"]["attachments"]
        assert ["media_id" in shown and shown["media_id"] is not None for shown in kept] == [False, True]

    @pytest.mark.parametrize(("attachment", "patient"), [(PHOTO, True), (VIDEO, False)])
    async def test_the_answer_waits_for_what_can_be_read(
        self, setting: Setting, attachment: Attachment, patient: bool
    ) -> None:
        taken = await setting.take("What is this?", kind=attachment.kind, attachments=(attachment,))
        assert ((await setting.turn(taken))["wait"] > 3) is patient
