"""What the ingestion worker needs beyond the shared settings."""

from pydantic import BaseModel, Field

from packages.core.config import Settings

MEBIBYTE = 1024 * 1024


class IngestionSettings(BaseModel):
    """How sources are ingested, and how often one is tried."""

    concurrency: int = Field(3, ge=1, le=16, description="sources that one worker reads at once")
    tenant_concurrency: int = Field(
        2, ge=1, le=16, description="of these, most of one tenant; keep it lower, so that another one need not wait"
    )
    max_attempts: int = Field(5, ge=1, description="tries of one source before it is set aside as poison")
    retry_seconds: float = Field(2.0, gt=0, description="pause before the second try; doubles with each further one")
    retry_max_seconds: float = Field(120.0, gt=0, description="longest pause between two tries")
    job_seconds: float = Field(1800.0, gt=0, description="longest time for one try of one source")
    heartbeat_seconds: float = Field(5.0, gt=0, description="how often a worker says that it still reads a source")
    stale_seconds: float = Field(20.0, gt=0, description="after this without a heartbeat a source is enqueued again")
    progress_seconds: float = Field(0.5, ge=0, description="shortest time between two progress reports of one source")
    shutdown_seconds: float = Field(
        5.0, ge=0, description="time to finish a source at shutdown before it is handed back"
    )
    metrics_port: int | None = Field(None, ge=0, le=65535, description="serve Prometheus metrics on this port")


class FetchSettings(BaseModel):
    """Limits for sources that are web addresses."""

    max_bytes: int = Field(25 * MEBIBYTE, ge=1, description="largest page or file that is downloaded, in bytes")
    total_seconds: float = Field(30.0, gt=0, description="longest time for one download, redirects included")
    crawl_pages: int = Field(1000, ge=1, description="most pages of one web site")
    crawl_seconds: float = Field(1500.0, gt=0, description="longest time for reading one web site")
    crawl_delay_seconds: float = Field(0.2, ge=0, description="pause between two requests to one web site")
    max_redirects: int = Field(5, ge=0, description="redirects that are followed")
    allowed_hosts: frozenset[str] = Field(
        frozenset(), description="JSON list of hosts that may be fetched although their addresses are private"
    )


class WorkerSettings(Settings):
    """Settings of the ingestion worker."""

    ingestion: IngestionSettings = IngestionSettings()
    fetch: FetchSettings = FetchSettings()
