"""The tokens of analysed texts."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "token_profile",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token_ids", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("vocabulary", postgresql.JSONB(), nullable=False),
        sa.Column("values", postgresql.BYTEA(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "ordinal"],
            ["text.job_id", "text.ordinal"],
            name=op.f("token_profile_text_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "ordinal", name=op.f("token_profile_pkey")),
    )


def downgrade() -> None:
    op.drop_table("token_profile")
