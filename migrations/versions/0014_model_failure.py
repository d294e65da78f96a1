"""Models that no worker can load at the moment, for the jobs that wait for them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    clock = sa.text("clock_timestamp()")
    op.create_table(
        "model_failure",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=clock, nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=clock, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("model_failure")
