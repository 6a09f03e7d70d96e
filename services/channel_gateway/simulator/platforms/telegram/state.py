"""What Telegram knows: bots' webhooks, the chats that bots may write to, and the numbers that it gives out."""

from typing import Any

from services.channel_gateway.simulator.records import Records

_WEBHOOK = "telegram:webhook:"
_CHAT = "telegram:chat:"
_NUMBERS = "telegram:numbers"
_BLOCK = 10_000
_EXCLUDED = frozenset({"chat_member", "message_reaction", "message_reaction_count"})


class State:
    """In memory, and in the records, so that it outlives the process. Bots are known by the number in their token."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._webhooks: dict[int, dict[str, Any]] = {}
        self._chats: dict[tuple[int, int], dict[str, Any]] = {}
        self._next = self._reserved = 1

    async def load(self) -> None:
        """Go on where the last process stopped."""
        webhooks = await self._records.notes(_WEBHOOK)
        self._webhooks = {int(name.removeprefix(_WEBHOOK)): value for name, value in webhooks.items()}
        for name, value in (await self._records.notes(_CHAT)).items():
            bot, chat = name.removeprefix(_CHAT).split(":")
            self._chats[int(bot), int(chat)] = value
        self._next = self._reserved = int(await self._records.note(_NUMBERS) or 1)

    async def numbers(self, count: int = 1) -> int:
        """The first of so many new numbers. Messages and updates share them: they only ever have to rise."""
        first, self._next = self._next, self._next + count
        if self._next > self._reserved:
            self._reserved = self._next + _BLOCK
            await self._keep(_NUMBERS, self._reserved)
        return first

    def webhook(self, bot: int) -> dict[str, Any] | None:
        """What setWebhook was last given; None if it was never called, an empty url if the webhook was deleted."""
        return self._webhooks.get(bot)

    async def set_webhook(self, bot: int, webhook: dict[str, Any]) -> None:
        """Register a webhook; a list of kinds of update that is left out stays as it was."""
        if webhook.get("allowed_updates") is None:
            webhook["allowed_updates"] = (self._webhooks.get(bot) or {}).get("allowed_updates")
        self._webhooks[bot] = webhook
        await self._keep(f"{_WEBHOOK}{bot}", webhook)

    def wanted(self, bot: int, kind: str) -> bool:
        """Whether the bot asked for this kind of update. Before its first setWebhook, everything is told."""
        webhook = self._webhooks.get(bot)
        if webhook is None:
            return True
        allowed = webhook.get("allowed_updates")
        return kind in allowed if allowed else kind not in _EXCLUDED

    def chat(self, bot: int, chat: int) -> dict[str, Any] | None:
        """The chat, if somebody wrote to the bot there; `blocked` and `moved_to` say why it may not answer."""
        return self._chats.get((bot, chat))

    async def meet(self, bot: int, chat: dict[str, Any], **changes: Any) -> None:
        """Remember a chat, and what happened to it."""
        key = (bot, int(chat["id"]))
        known = self._chats.get(key)
        now = {**(known or {}), **chat, **changes}
        if now != known:
            self._chats[key] = now
            await self._keep(f"{_CHAT}{key[0]}:{key[1]}", now)

    async def _keep(self, name: str, value: Any) -> None:
        await self._records.save(errands=[], sent=[], written=[], notes=[(name, value)])
