"""Settings of the orchestrator alone."""

from pydantic import BaseModel, Field

from packages.core.config import Settings


class ActionSettings(BaseModel):
    """What the bot may do outside."""

    allowed_networks: list[str] = Field(
        default_factory=list,
        description="JSON list of private networks that actions and ticket webhooks may call, such as 10.1.0.0/16",
    )


class OrchestratorSettings(Settings):
    """What the API needs beside the shared settings."""

    access_token_minutes: int = Field(30, ge=1, description="life of an access token")
    refresh_token_days: int = Field(30, ge=1, description="life of a refresh token")
    login_attempts: int = Field(10, ge=1, description="log-ins with one e-mail from one address in five minutes")
    upload_max_bytes: int = Field(25 * 1024 * 1024, ge=1, description="largest knowledge file, in bytes")
    upload_max_files: int = Field(20, ge=1, description="most files of one upload")
    cors_origins: list[str] = Field(
        default_factory=list, description="JSON list of origins whose pages may call the API (default: none)"
    )
    live_heartbeat_seconds: float = Field(15.0, gt=0, description="pause between signs of life on GET /v1/stream")
    gateway_url: str | None = Field(
        None, description="how the orchestrator reaches the gateway (default: http://host:port)"
    )
    gateway_timeout_seconds: float = Field(3.0, gt=0, description="longest wait for the gateway's channel catalogue")
    guardrails_ai: bool = Field(
        False, description="pass replies through guardrails-ai validators as well (135 MB, loaded in the background)"
    )
    shutdown_seconds: float = Field(10.0, gt=0, description="time that loops get to finish what they hold")
    actions: ActionSettings = ActionSettings()

    @property
    def internal_gateway_url(self) -> str:
        """Base URL by which the orchestrator calls the gateway."""
        return (self.gateway_url or f"http://{self.host}:{self.gateway_port}").rstrip("/")
