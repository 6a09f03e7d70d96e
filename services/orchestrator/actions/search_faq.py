"""The FAQ fallback: the brand's nearest questions and answers, when nothing else fits."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from packages.rag.documents import Scope
from packages.rag.retrieval import SearchFilters, retrieve_context
from services.orchestrator.actions import Action, ActionFailed, ActionResult, Context, Risk

EXCERPT = 600


class Arguments(BaseModel):
    """What to look for."""

    question: str = Field(max_length=500, description="The question, in the customer's language and on its own.")


class Settings(BaseModel):
    """Which sources are searched: all of the brand's, or those with these tags."""

    model_config = ConfigDict(extra="forbid")

    tags: list[str] = Field(default_factory=list, max_length=20)
    limit: int = Field(3, ge=1, le=10)


class SearchFAQ(Action):
    """Searches the brand's knowledge, as an answer does."""

    description = "Searches the brand's frequently asked questions and help pages once more, with other words."
    Arguments = Arguments
    Settings = Settings
    risk = Risk.READ

    async def run(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """The best passages with the ids that citations use."""
        if context.knowledge is None:
            raise ActionFailed("unavailable", "The knowledge cannot be searched here.")
        settings: Settings = context.settings
        scope = Scope(tenant_id=context.tenant_id, brand_id=UUID(context.brand.id))
        filters = SearchFilters(tags=tuple(settings.tags)) if settings.tags else None
        question = Arguments.model_validate(arguments).question
        hits = await retrieve_context(context.knowledge, scope, question, limit=settings.limit, filters=filters)
        found = [
            {
                "chunk_id": str(hit.chunk_id),
                "title": hit.title,
                "text": hit.text[:EXCERPT],
                "score": round(hit.score, 3),
            }
            for hit in hits
        ]
        return ActionResult(name=context.tool.name, ok=True, data={"entries": found})

    async def rehearse(self, arguments: dict[str, Any], context: Context) -> ActionResult:
        """A search has no effect."""
        return await self.run(arguments, context)


action = SearchFAQ()
