"""The span of the request that submitted a job."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("job", sa.Column("traceparent", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("job", "traceparent")
