"""The pair of a text: texts of different domains with the same pair belong together."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("text", sa.Column("pair", sa.String(), nullable=True))
    op.create_index(
        "text_pair_idx",
        "text",
        ["job_id", "domain", "pair"],
        unique=True,
        postgresql_where=sa.text("pair is not null"),
    )


def downgrade() -> None:
    op.drop_index("text_pair_idx", table_name="text")
    op.drop_column("text", "pair")
