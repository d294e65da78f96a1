"""Standard terms for two columns and an index; no data changes."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("job", "closings", new_column_name="finalization_attempts")
    op.alter_column("job", "erase_requested_at", new_column_name="deletion_requested_at")
    op.execute("alter index job_erasing_idx rename to job_deletion_idx")


def downgrade() -> None:
    op.execute("alter index job_deletion_idx rename to job_erasing_idx")
    op.alter_column("job", "deletion_requested_at", new_column_name="erase_requested_at")
    op.alter_column("job", "finalization_attempts", new_column_name="closings")
