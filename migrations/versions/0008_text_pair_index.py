"""Drop the unique index of pairs: the check at the end of a submission replaces it.

The check is one query for all texts of a new job (app/jobs/pairs.py). It names the domain and the pair in its
error, and it takes less time than the index took for each text.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("text_pair_idx", table_name="text")


def downgrade() -> None:
    op.create_index(
        "text_pair_idx",
        "text",
        ["job_id", "domain", "pair"],
        unique=True,
        postgresql_where=sa.text("pair is not null"),
    )
