"""Scope `typical` and the massive tokens. Jobs from before keep their three scopes."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    strings = postgresql.ARRAY(sa.String())
    op.add_column("job", sa.Column("scopes", strings, server_default="{all,rest,first}", nullable=False))
    op.alter_column("job", "scopes", server_default=None)
    op.add_column("text_profile", sa.Column("massive", postgresql.ARRAY(sa.Integer())))
    op.add_column("text_profile", sa.Column("massive_strings", strings))
    op.add_column("text_profile", sa.Column("square_norms", sa.LargeBinary()))
    op.create_table(
        "massive_tokens",
        *_key("massive_tokens", "layer"),
        sa.Column("texts", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("massive", sa.BigInteger(), nullable=False),
        sa.Column("massive_first", sa.Integer(), nullable=False),
        sa.Column("massive_share", sa.Double(), nullable=False),
        sa.Column("norm_share", sa.Double(), nullable=True),
    )
    op.create_table(
        "massive_string",
        *_key("massive_string", "place"),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("massive", sa.BigInteger(), nullable=False),
        sa.Column("texts", sa.Integer(), nullable=False),
    )


def _key(table: str, number: str) -> list[sa.schema.SchemaItem]:
    """The columns and constraints of the primary key (job_id, domain, number)."""
    return [
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column(number, sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f(f"{table}_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "domain", number, name=op.f(f"{table}_pkey")),
    ]


def downgrade() -> None:
    op.drop_table("massive_string")
    op.drop_table("massive_tokens")
    for column in ("square_norms", "massive_strings", "massive"):
        op.drop_column("text_profile", column)
    op.drop_column("job", "scopes")
