"""Let a person take over; the turn that asked for it offers the conversation, and tells the customer."""

from typing import Any

from pydantic import BaseModel, Field

from services.orchestrator.actions import Action, ActionResult, Context, Risk


class Arguments(BaseModel):
    """Why, and what the person should know."""

    reason: str = Field(max_length=200, description="Why a person is needed, in a few words.")
    summary: str = Field("", max_length=1000, description="What the customer wants and what was tried.")


class HandOver(Action):
    """Asks for a person. It takes effect when the turn commits, and only if that is still valid then."""

    description = (
        "Hands the conversation over to a person. Use it when the customer asks for one, or nothing else helps."
    )
    Arguments = Arguments
    risk = Risk.READ

    async def run(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """The wish, for the turn to fulfil."""
        asked = Arguments.model_validate(arguments)
        data = {"hand_over": asked.reason[:200] or "asked for", "summary": asked.summary}
        return ActionResult(name=context.tool.name, ok=True, data=data)

    async def rehearse(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """The wish, under a name that nobody fulfils."""
        asked = Arguments.model_validate(arguments)
        return ActionResult(name=context.tool.name, ok=True, data={"would_hand_over": asked.reason})


action = HandOver()
