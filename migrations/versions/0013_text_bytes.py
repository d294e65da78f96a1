"""The bytes of the texts of each job, for the limit of its owner."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("job", sa.Column("text_bytes", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        "update job set text_bytes = stored.bytes"
        " from (select job_id, sum(octet_length(text)) as bytes from text group by job_id) stored"
        " where stored.job_id = job.id"
    )


def downgrade() -> None:
    op.drop_column("job", "text_bytes")
