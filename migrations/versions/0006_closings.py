"""The number of attempts to close a job."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("job", sa.Column("closings", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("job", "closings")
