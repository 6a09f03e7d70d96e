"""Between the models and the actions: one step of a turn in which the model may ask for something to be done."""

from collections.abc import Sequence

from services.orchestrator.acting.loop import Ask, Message, Spoken, native
from services.orchestrator.actions import Tool
from services.orchestrator.engine.llm import Prompt, PromptMessage
from services.orchestrator.engine.llm.chain import Attempt, Chain, Outcome


class Asking:
    """Asks a chain of models, for `acting.loop.converse`; keeps what came of each call.

    Args:
        prompt: the turn's, to which what was done is added.
    """

    def __init__(self, models: Chain, prompt: Prompt) -> None:
        self._models = models
        self._prompt = prompt
        self.attempts: list[Attempt] = []
        self.last: Outcome | None = None

    @property
    def ask(self) -> Ask:
        """One step; None where every model failed."""

        async def step(said: Sequence[Message], tools: Sequence[Tool]) -> Spoken | None:
            added = tuple(_message(message) for message in said)
            self.last = await self._models.complete((*self._prompt, *added), native(tools))
            self.attempts += self.last.attempts
            completion = self.last.completion
            return Spoken(completion.text, completion.tool_calls) if completion else None

        return step


def _message(message: Message) -> PromptMessage:
    more = {key: value for key, value in message.items() if key not in {"role", "content"}}
    return PromptMessage(message["role"], message["content"] or "", more)
