"""Comparisons of domains, ranks of layers, and the descriptions of the estimators."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

RANK_COLUMNS = tuple(
    metric + suffix
    for metric in ("delta_abs_mean", "relative_norm")
    for suffix in ("_rank", "_rank_ci_low", "_rank_ci_high")
)
STATISTICS = (
    *("mean_a", "mean_b", "difference", "ci_low", "ci_high"),
    *("hedges_g", "g_ci_low", "g_ci_high", "p_value", "p_holm", "q_value"),
    *("adjusted_difference", "adjusted_ci_low", "adjusted_ci_high", "adjusted_p_value"),
)


def upgrade() -> None:
    op.add_column("job", sa.Column("estimators", postgresql.JSONB(), nullable=True))
    for name in RANK_COLUMNS:
        op.add_column("layer_profile", sa.Column(name, sa.Integer(), nullable=True))
    op.create_table(
        "comparison",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("domain_a", sa.String(), nullable=False),
        sa.Column("domain_b", sa.String(), nullable=False),
        sa.Column("texts_a", sa.Integer(), nullable=False),
        sa.Column("texts_b", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=True) for name in STATISTICS),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("comparison_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            *("job_id", "metric", "scope", "component", "layer", "domain_a", "domain_b"),
            name=op.f("comparison_pkey"),
        ),
    )


def downgrade() -> None:
    op.drop_table("comparison")
    for name in RANK_COLUMNS:
        op.drop_column("layer_profile", name)
    op.drop_column("job", "estimators")
