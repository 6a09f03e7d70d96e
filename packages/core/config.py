"""Settings that every service shares. Environment beats `.env`; both use the prefix PARLEY_ and `__` for nesting."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class PostgresSettings(BaseModel):
    """PostgreSQL 15 or newer."""

    url: str | None = Field(None, description="postgresql://user:password@host:port/name of the services' login")
    admin_url: str | None = Field(None, description="the same database as its owner, for migrations (default: url)")
    pool_size: int = Field(10, ge=1, description="connections that one process keeps to the database")


class RedisSettings(BaseModel):
    """Redis or Valkey 6.2 or newer, with append-only persistence."""

    url: str | None = Field(None, description="redis://:password@host:port/0")


class QdrantSettings(BaseModel):
    """Qdrant; unset means that vectors live in PostgreSQL."""

    url: str | None = Field(None, description="http://host:6333")
    api_key: SecretStr | None = Field(None, description="key of the Qdrant cluster, if it asks for one")


class StorageSettings(BaseModel):
    """Where uploaded files live: a folder, or an S3-compatible bucket."""

    url: str | None = Field(None, description="file:///folder or s3://bucket (default: <data dir>/objects)")
    endpoint: str | None = Field(None, description="endpoint of an S3-compatible store other than AWS")
    region: str = Field("us-east-1", description="region of the bucket")
    access_key: str | None = Field(None, description="S3 access key (default: the usual AWS credential chain)")
    secret_key: SecretStr | None = Field(None, description="S3 secret key")


class LLMEndpoint(BaseModel):
    """One OpenAI-compatible chat endpoint."""

    base_url: str
    api_key: SecretStr = SecretStr("none")
    model: str = "gpt-4o-mini"


class LLMSettings(BaseModel):
    """The language model; unset base_url means the built-in extractive answerer."""

    base_url: str | None = Field(None, description="OpenAI-compatible base URL, such as https://host/v1")
    api_key: SecretStr = Field(SecretStr("none"), description="its key")
    model: str = Field("gpt-4o-mini", description="its model")
    fallbacks: list[LLMEndpoint] = Field(
        default_factory=list, description="JSON list of {base_url, api_key, model}, tried in order"
    )
    connect_timeout: float = Field(3.0, gt=0, description="seconds to reach an endpoint")
    first_token_timeout: float = Field(10.0, gt=0, description="seconds until an endpoint begins to answer")
    total_timeout: float = Field(30.0, gt=0, description="seconds for one whole answer")
    max_tokens: int = Field(600, ge=16, description="longest answer asked for, in tokens")

    @property
    def endpoints(self) -> list[LLMEndpoint]:
        """The configured endpoint and its fallbacks, in the order they are tried."""
        if self.base_url is None:
            return list(self.fallbacks)
        first = LLMEndpoint(base_url=self.base_url, api_key=self.api_key, model=self.model)
        return [first, *self.fallbacks]


class EmbeddingSettings(BaseModel):
    """How texts become vectors."""

    provider: Literal["local", "openai", "sentence-transformers"] = Field(
        "local", description="local (in process), openai (any compatible API) or sentence-transformers"
    )
    model: str = Field("all-MiniLM-L6-v2", description="model name at the provider")
    base_url: str | None = Field(None, description="OpenAI-compatible base URL for provider openai")
    api_key: SecretStr = Field(SecretStr("none"), description="its key")
    dimensions: int | None = Field(None, description="ask the API for shortened vectors of this length")
    threads: int = Field(1, ge=1, description="threads of the local model in one process")


class OtelSettings(BaseModel):
    """OpenTelemetry; unset endpoint means that spans are made (for ids in logs) but not sent."""

    endpoint: str | None = Field(None, description="OTLP/HTTP endpoint, such as http://host:4318")
    sample_ratio: float = Field(1.0, ge=0, le=1, description="share of traces that are exported")


class MetaSettings(BaseModel):
    """One Meta app that serves many tenants through POST /webhooks/meta."""

    app_secret: SecretStr | None = Field(None, description="secret of the platform's own Meta app")
    verify_token: SecretStr | None = Field(None, description="verify token of its webhook")


class TurnSettings(BaseModel):
    """When a conversation is answered."""

    debounce_seconds: float = Field(1.2, ge=0, description="quiet time after a message before it is answered")
    max_wait_seconds: float = Field(10.0, ge=0, description="longest time that a burst of messages delays the answer")
    file_wait_seconds: float = Field(8.0, ge=0, description="longest wait for a customer's file to be fetched and read")
    lease_seconds: float = Field(15.0, ge=3, description="after this a turn whose process died is taken over")
    concurrency: int = Field(256, ge=1, description="turns that one orchestrator process runs at once")
    max_voids: int = Field(3, ge=0, description="replies that newer messages may overtake before one is sent anyway")
    max_attempts: int = Field(
        5, ge=1, description="attempts at one turn before the customer is told and a person asked"
    )
    offer_seconds: float = Field(600.0, gt=0, description="time that people have to take a conversation over")


class DeliverySettings(BaseModel):
    """How replies are sent."""

    in_doubt_seconds: float = Field(
        20.0, ge=0, description="wait for the platform's own word before an unanswered send is repeated"
    )
    republish_seconds: float = Field(15.0, gt=0, description="a reply nobody claimed is put on the stream again")
    max_attempts: int = Field(8, ge=1, description="sends of one message before it fails for good")
    timeout_seconds: float = Field(10.0, gt=0, description="longest wait for a platform's answer to one send")
    file_timeout_seconds: float = Field(75.0, gt=0, description="the same for a file, which has to be uploaded")
    allowed_networks: list[str] = Field(
        default_factory=list,
        description="JSON list of private networks that sends may go to (a simulator, a proxy), such as 127.0.0.0/8",
    )


class MediaSettings(BaseModel):
    """Files that customers and agents send."""

    max_bytes: int = Field(25 * 1024 * 1024, ge=1024, description="largest file that is kept, in bytes")
    timeout_seconds: float = Field(30.0, gt=0, description="longest time for fetching one file from a platform")
    concurrency: int = Field(8, ge=1, description="files that one gateway process fetches at once")
    max_attempts: int = Field(6, ge=1, description="attempts at one file before it is shown as failed")
    retry_seconds: float = Field(
        5.0, gt=0, description="pause before the second attempt; triples with each further one"
    )
    allowed_types: list[str] = Field(
        default_factory=lambda: ["image/", "audio/", "video/", "text/", "application/"],
        description="JSON list of media types, or beginnings of them, that are kept; programs never are",
    )
    link_seconds: float = Field(600.0, gt=0, description="life of a link to a file")
    unsent_hours: float = Field(24.0, gt=0, description="an agent's upload that was not sent is deleted after so long")


class KnowledgeSettings(BaseModel):
    """What tenants may keep as knowledge. A tenant's own settings (`knowledge`: the same names) come before these."""

    max_sources: int = Field(20_000, ge=1, description="sources of one tenant")
    max_bytes: int = Field(
        20 * 1024**3, ge=1, description="bytes of one tenant's sources, earlier versions not counted"
    )
    max_chunks: int = Field(1_000_000, ge=1, description="chunks of one tenant's sources")
    versions_kept: int = Field(
        5, ge=1, description="versions of a source that can be gone back to, the present included"
    )


class Settings(BaseSettings):
    """What every process needs to know. Build it once, at start-up, and pass it on."""

    model_config = SettingsConfigDict(
        env_prefix="PARLEY_", env_nested_delimiter="__", env_file=".env", env_file_encoding="utf-8", extra="ignore"
    )

    data_dir: Path = Field(Path(".parley"), description="folder of the embedded engines, objects and models")
    host: str = Field("127.0.0.1", description="address on which the services listen")
    orchestrator_port: int = Field(8000, ge=0, le=65535, description="port of the API")
    gateway_port: int = Field(8001, ge=0, le=65535, description="port of webhooks and web chat")
    simulator_port: int = Field(8002, ge=0, le=65535, description="port of the local platform simulator")
    orchestrator_url: str | None = Field(
        None, description="how services reach the orchestrator (default: http://host:port)"
    )
    public_gateway_url: str | None = Field(
        None, description="public address of the gateway, written into webhook URLs (default: http://host:port)"
    )
    secret_key: SecretStr | None = Field(
        None, description="signs tokens and encrypts channel credentials; 32 or more characters"
    )
    admin_email: str = Field("admin@parley.local", description="e-mail of the first platform admin")
    admin_password: SecretStr | None = Field(None, description="password of the first platform admin")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe level logged")
    log_format: Literal["json", "console"] = Field("json", description="json for machines, console for people")

    postgres: PostgresSettings = PostgresSettings()
    redis: RedisSettings = RedisSettings()
    qdrant: QdrantSettings = QdrantSettings()
    storage: StorageSettings = StorageSettings()
    llm: LLMSettings = LLMSettings()
    embeddings: EmbeddingSettings = EmbeddingSettings()
    otel: OtelSettings = OtelSettings()
    meta: MetaSettings = MetaSettings()
    turn: TurnSettings = TurnSettings()
    delivery: DeliverySettings = DeliverySettings()
    media: MediaSettings = MediaSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()

    @property
    def postgres_url(self) -> str:
        """The services' database URL; raises if unset."""
        return _required(self.postgres.url, "PARLEY_POSTGRES__URL")

    @property
    def postgres_admin_url(self) -> str:
        """The owner's database URL."""
        return self.postgres.admin_url or self.postgres_url

    @property
    def redis_url(self) -> str:
        """The Redis URL; raises if unset."""
        return _required(self.redis.url, "PARLEY_REDIS__URL")

    @property
    def storage_url(self) -> str:
        """Where objects live; a folder in the data directory by default."""
        return self.storage.url or f"file://{(self.data_dir / 'objects').resolve()}"

    @property
    def secret(self) -> str:
        """The secret key in clear; raises if it is unset or too short to protect anything."""
        value = self.secret_key.get_secret_value() if self.secret_key else None
        if len(_required(value, "PARLEY_SECRET_KEY")) < 32:
            raise ValueError("PARLEY_SECRET_KEY must have at least 32 characters; try: openssl rand -hex 32")
        return _required(value, "PARLEY_SECRET_KEY")

    @property
    def internal_orchestrator_url(self) -> str:
        """Base URL by which other services call the orchestrator."""
        return (self.orchestrator_url or f"http://{self.host}:{self.orchestrator_port}").rstrip("/")

    @property
    def gateway_base_url(self) -> str:
        """Public base URL of the gateway."""
        return (self.public_gateway_url or f"http://{self.host}:{self.gateway_port}").rstrip("/")


def _required(value: str | None, name: str) -> str:
    if not value:
        raise ValueError(f"{name} is not set. `make run` sets it for the embedded engines; see .env.example.")
    return value
