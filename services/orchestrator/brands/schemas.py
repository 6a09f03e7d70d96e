"""Bodies of brands and their personas."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints

from services.orchestrator.auth.schemas import Input, Name, Output, Slug


def _known_timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("not a time zone of the IANA database, such as Europe/Berlin")
    return value


Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*$", max_length=20)]
Timezone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_timezone)]
Prose = Annotated[str, StringConstraints(max_length=2_000)]
BrandSettings = Annotated[dict[str, Any], Field(description="what has no field of its own; kept as it is")]


class BrandCreate(Input):
    """A brand."""

    name: Name
    slug: Slug
    locale: Locale = "en"
    timezone: Timezone = "UTC"
    settings: BrandSettings = Field(default_factory=dict)


class BrandUpdate(Input):
    """What is given is changed; `settings` are replaced as a whole."""

    name: Name | None = None
    slug: Slug | None = None
    locale: Locale | None = None
    timezone: Timezone | None = None
    settings: BrandSettings | None = None


class BrandRead(Output):
    """A brand. `knowledge_version` grows with each change of its knowledge."""

    id: UUID
    name: str
    slug: str
    locale: str
    timezone: str
    knowledge_version: int
    settings: dict[str, Any]
    created_at: datetime


class Persona(Input):
    """How the bot speaks. Empty texts mean the built-in ones, in the customer's language."""

    display_name: Name
    tone: Annotated[str, StringConstraints(max_length=2_000)] = "friendly, clear and brief"
    instructions: Annotated[str, StringConstraints(max_length=10_000)] = ""
    languages: list[Locale] = Field(default_factory=list, max_length=50)
    greeting: Prose = ""
    sign_off: Prose = ""
    fallback_message: Prose = ""
    handover_message: Prose = ""


class PersonaRead(Output):
    """A brand's persona; `version` grows with each change."""

    display_name: str
    tone: str
    instructions: str
    languages: list[str]
    greeting: str
    sign_off: str
    fallback_message: str
    handover_message: str
    version: int
