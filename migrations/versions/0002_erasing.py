"""Jobs are hidden first and then erased in batches."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("job", sa.Column("erase_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "job_erasing_idx",
        "job",
        ["erase_requested_at"],
        postgresql_where=sa.text("erase_requested_at is not null"),
    )
    op.create_index("job_finished_idx", "job", ["finished_at"])


def downgrade() -> None:
    op.drop_index("job_finished_idx", table_name="job")
    op.drop_index(
        "job_erasing_idx", table_name="job", postgresql_where=sa.text("erase_requested_at is not null")
    )
    op.drop_column("job", "erase_requested_at")
