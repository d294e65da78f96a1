"""The lengths of the texts of finished jobs."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "text_lengths",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("texts", "truncated", "low", "high")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("text_lengths_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "domain", name=op.f("text_lengths_pkey")),
    )


def downgrade() -> None:
    op.drop_table("text_lengths")
