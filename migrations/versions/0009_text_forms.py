"""Texts as token ids or messages, texts that were invalid, and the special tokens added to each text."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UNREADABLE = """
    select count(distinct job_id) from text join job on job.id = job_id
    where outcome is null and (form is not null or text.error is not null)
"""


def upgrade() -> None:
    op.add_column("text", sa.Column("form", sa.String(), nullable=True))
    op.add_column("text", sa.Column("error", sa.String(), nullable=True))
    op.add_column("text_profile", sa.Column("special_tokens_added", sa.Integer(), nullable=True))


def downgrade() -> None:
    """An older version would measure the JSON of token ids and messages as a string."""
    jobs = op.get_bind().scalar(sa.text(UNREADABLE))
    if jobs:
        raise RuntimeError(
            f"{jobs} unfinished jobs contain token ids, messages or invalid texts, which the older version "
            "would measure wrongly: wait until they are finished, or cancel them."
        )
    op.drop_column("text_profile", "special_tokens_added")
    op.drop_column("text", "error")
    op.drop_column("text", "form")
