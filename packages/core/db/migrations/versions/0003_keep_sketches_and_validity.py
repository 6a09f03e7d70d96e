"""Keep sketches of vectors, and when sources are valid.

The vector index over all tenants goes: see docs/adr/0012.

Revision: 0003, after 0002.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    for column in ("valid_from", "valid_until"):
        op.add_column("knowledge_source", sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_knowledge_source_validity",
        "knowledge_source",
        ["brand_id"],
        unique=False,
        postgresql_where=sa.text("valid_from IS NOT NULL OR valid_until IS NOT NULL"),
    )
    op.drop_index("hnsw_knowledge_vector_384", table_name="knowledge_vector")
    op.add_column(
        "knowledge_vector",
        sa.Column(
            "sketch",
            postgresql.BIT(varying=True),
            sa.Computed("binary_quantize(embedding)", persisted=True),
            nullable=True,
        ),
    )
    op.drop_index("ix_knowledge_vector_brand_id_embedder", table_name="knowledge_vector")
    op.create_index(
        "ix_knowledge_vector_brand_id_embedder",
        "knowledge_vector",
        ["brand_id", "embedder", "id"],
        unique=False,
        postgresql_include=["tenant_id", "source_id", "sketch"],
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_knowledge_vector_brand_id_embedder", table_name="knowledge_vector")
    op.create_index("ix_knowledge_vector_brand_id_embedder", "knowledge_vector", ["brand_id", "embedder"], unique=False)
    op.drop_column("knowledge_vector", "sketch")
    op.execute(
        "CREATE INDEX hnsw_knowledge_vector_384 ON knowledge_vector USING hnsw "
        "((embedding::vector(384)) vector_cosine_ops) WHERE vector_dims(embedding) = 384"
    )
    op.drop_index("ix_knowledge_source_validity", table_name="knowledge_source")
    for column in ("valid_until", "valid_from"):
        op.drop_column("knowledge_source", column)
