"""Keys and the owners of jobs. Jobs from before belong to the owner `local`."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("sha256", postgresql.BYTEA(), nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("revoked_at", _TIME),
        sa.Column("parent_id", sa.Uuid()),
        sa.CheckConstraint("scope in ('read', 'write', 'admin')", name=op.f("api_key_scope_check")),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["api_key.id"], name=op.f("api_key_parent_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("api_key_pkey")),
        sa.UniqueConstraint("sha256", name=op.f("api_key_sha256_key")),
    )
    op.create_index("api_key_parent_id_idx", "api_key", ["parent_id"])
    op.add_column("job", sa.Column("owner", sa.String(), server_default="local", nullable=False))
    op.create_index("job_owner_id_idx", "job", ["owner", "id"])
    op.drop_constraint("job_idempotency_key_key", "job")
    op.create_unique_constraint("job_owner_idempotency_key_key", "job", ["owner", "idempotency_key"])


_TIME = sa.DateTime(timezone=True)


def downgrade() -> None:
    # Two owners may have used the same key.
    op.execute("update job set idempotency_key = null where owner <> 'local'")
    op.drop_constraint("job_owner_idempotency_key_key", "job")
    op.create_unique_constraint("job_idempotency_key_key", "job", ["idempotency_key"])
    op.drop_index("job_owner_id_idx", table_name="job")
    op.drop_column("job", "owner")
    op.drop_table("api_key")
