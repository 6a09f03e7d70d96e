"""Settings of the gateway, on top of what every service shares."""

from pydantic import BaseModel, Field

from packages.core.config import Settings


class IntakeSettings(BaseModel):
    """How webhooks are taken in."""

    max_body: int = Field(
        3 * 1024 * 1024, ge=1024, description="largest webhook body, in bytes (Meta sends up to 3 MB)"
    )
    dedupe_seconds: int = Field(3 * 86_400, ge=1, description="how long a delivered item is remembered in Redis")
    max_backlog: int = Field(1_000_000, ge=1, description="stream length from which webhooks are refused with 503")
    redis_timeout: float = Field(2.0, gt=0, description="seconds until a silent Redis counts as away")
    fallback_timeout: float = Field(
        5.0, gt=0, description="seconds for the orchestrator to take events while Redis is away"
    )


class WebchatSettings(BaseModel):
    """Limits of the web chat; no platform in between sets any."""

    text_limit: int = Field(4000, ge=1, description="longest message of a visitor, in characters")
    messages_per_minute: float = Field(30.0, gt=0, description="messages of one visitor per minute, on average")
    message_burst: int = Field(10, ge=1, description="messages of one visitor at once")
    sessions_per_minute: float = Field(60.0, gt=0, description="new sessions per minute from one address, on average")
    session_burst: int = Field(60, ge=1, description="new sessions from one address at once")
    streams_per_visitor: int = Field(8, ge=1, description="open event streams (tabs) of one visitor")
    session_days: float = Field(90.0, gt=0, description="a visitor who stays away longer starts anew")
    heartbeat_seconds: float = Field(15.0, gt=0, description="pause between heartbeats of an event stream")
    poll_seconds: float = Field(4.0, gt=0, description="how often an event stream looks into PostgreSQL by itself")


class GatewaySettings(Settings):
    """What the gateway needs to know."""

    intake: IntakeSettings = IntakeSettings()
    webchat: WebchatSettings = WebchatSettings()
