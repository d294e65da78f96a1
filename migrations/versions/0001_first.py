"""Jobs with their texts and shards, and the results of each text and layer."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

METRICS = (
    "delta_mean",
    "delta_abs_mean",
    "delta_rms",
    "relative_norm",
    "cosine",
    "block_influence",
    "residual_rms",
)
STATISTICS = ("", "_var", "_std", "_ci_low", "_ci_high")


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("texts", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("request_sha256", postgresql.BYTEA(), nullable=False),
        sa.Column("configured", postgresql.JSONB(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("measured_with", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("outcome in ('succeeded', 'failed', 'cancelled')", name=op.f("job_outcome_check")),
        sa.CheckConstraint("(outcome is null) = (finished_at is null)", name=op.f("job_finished_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("job_pkey")),
        sa.UniqueConstraint("idempotency_key", name=op.f("job_idempotency_key_key")),
    )
    op.create_index(
        "job_unfinished_idx",
        "job",
        ["model", "id"],
        unique=False,
        postgresql_where=sa.text("outcome is null"),
    )
    op.create_table(
        "model",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("measured_with", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "loaded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("model_pkey")),
    )
    op.create_table(
        "layer_profile",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("texts", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        *(sa.Column(f"{metric}{suffix}", sa.Double()) for metric in METRICS for suffix in STATISTICS),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("layer_profile_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "job_id", "domain", "scope", "component", "layer", name=op.f("layer_profile_pkey")
        ),
    )
    op.create_table(
        "shard",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_ordinal", sa.Integer(), nullable=False),
        sa.Column("end_ordinal", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("suspect", sa.Integer(), nullable=True),
        sa.Column("crashes", postgresql.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.CheckConstraint("first_ordinal < end_ordinal", name=op.f("shard_not_empty_check")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("shard_job_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("shard_pkey")),
    )
    op.create_index(
        "shard_open_idx",
        "shard",
        ["job_id", "number"],
        unique=False,
        postgresql_where=sa.text("done_at is null"),
    )
    op.create_table(
        "text",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("text_job_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "ordinal", name=op.f("text_pkey")),
    )
    op.create_table(
        "shard_domain",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("first_ordinal", sa.Integer(), nullable=False),
        sa.Column("texts", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "number"],
            ["shard.job_id", "shard.number"],
            name="shard_domain_shard_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "number", "domain", name=op.f("shard_domain_pkey")),
    )
    op.create_table(
        "text_profile",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("values", postgresql.BYTEA(), nullable=True),
        sa.CheckConstraint(
            "(error is null) = (values is not null)", name=op.f("text_profile_error_or_values_check")
        ),
        sa.ForeignKeyConstraint(
            ["job_id", "ordinal"],
            ["text.job_id", "text.ordinal"],
            name="text_profile_text_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "ordinal", name=op.f("text_profile_pkey")),
    )
    # Float64 mantissas do not compress, so inserts must not try.
    op.execute('alter table text_profile alter column "values" set storage external')


def downgrade() -> None:
    op.drop_table("text_profile")
    op.drop_table("shard_domain")
    op.drop_table("text")
    op.drop_index("shard_open_idx", table_name="shard", postgresql_where=sa.text("done_at is null"))
    op.drop_table("shard")
    op.drop_table("layer_profile")
    op.drop_table("model")
    op.drop_index("job_unfinished_idx", table_name="job", postgresql_where=sa.text("outcome is null"))
    op.drop_table("job")
