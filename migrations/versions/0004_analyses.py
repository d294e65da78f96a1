"""Analyses of a sample of the texts, and the share of the first token."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

STATISTICS = tuple(
    metric + suffix
    for metric in ("ablation_nll", "ablation_kl", "lens_entropy", "lens_kl", "lens_agreement")
    for suffix in ("", "_var", "_std", "_ci_low", "_ci_high")
)
TOP_ACTIVATION_FIELDS = tuple(
    f"{name}_{place}"
    for place in (1, 2, 3, 4)
    for name in ("unit", "value", "token", "ratio", "texts", "first_texts")
)


def upgrade() -> None:
    op.add_column("text_profile", sa.Column("analysis", postgresql.BYTEA(), nullable=True))
    op.add_column("layer_profile", sa.Column("analysis_texts", sa.Integer(), nullable=True))
    for name in STATISTICS:
        op.add_column("layer_profile", sa.Column(name, sa.Double(), nullable=True))
    op.create_table(
        "first_token",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("texts", sa.Integer(), nullable=False),
        sa.Column("mean_share", sa.Double(), nullable=True),
        sa.Column("variance_share", sa.Double(), nullable=True),
        sa.Column("analysis_texts", sa.Integer(), nullable=True),
        *(sa.Column(name, _kind(name), nullable=True) for name in TOP_ACTIVATION_FIELDS),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("first_token_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "domain", "component", "layer", name=op.f("first_token_pkey")),
    )


def _kind(name: str) -> sa.types.TypeEngine[Any]:
    return sa.Double() if name.startswith(("value", "ratio")) else sa.Integer()


def downgrade() -> None:
    op.drop_table("first_token")
    for name in STATISTICS:
        op.drop_column("layer_profile", name)
    op.drop_column("layer_profile", "analysis_texts")
    op.drop_column("text_profile", "analysis")
