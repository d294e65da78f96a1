"""An index for the metrics: counts jobs by outcome, and finds the latest finished jobs of a model."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    visible = sa.text("outcome is not null and deletion_requested_at is null")
    op.create_index("job_outcome_idx", "job", ["outcome", "model", "id"], postgresql_where=visible)


def downgrade() -> None:
    op.drop_index("job_outcome_idx", "job")
