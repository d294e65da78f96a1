"""The tables of jobs, texts, shards, and measured values. The status of a job follows from its columns."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.coordination import CLOCK
from app.tables.base import Base
from layerscope.names import (
    OUTCOMES,
    SCOPES,
    Status,
)

LOCAL_OWNER = "local"  # of all jobs that were submitted without a key


class Job(Base):
    """One request: a model, texts by domain, options."""

    __tablename__ = "job"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    owner: Mapped[str] = mapped_column(server_default=LOCAL_OWNER)
    name: Mapped[str | None]
    model: Mapped[str]
    options: Mapped[dict[str, Any]]
    # Jobs of earlier versions lack the last scope.
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String), insert_default=lambda: list(SCOPES))
    texts: Mapped[int]
    text_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")  # as stored, in UTF-8
    idempotency_key: Mapped[str | None]
    request_sha256: Mapped[bytes]
    configured: Mapped[dict[str, Any]]  # source and revision of the model when the job was accepted
    created_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    started_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    deletion_requested_at: Mapped[datetime | None]  # hidden since then; `texts`: those not yet deleted
    finalization_attempts: Mapped[int] = mapped_column(server_default="0")  # also if the worker died
    outcome: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]
    measured_with: Mapped[dict[str, Any] | None]  # the model as the first worker loaded it
    estimators: Mapped[dict[str, Any] | None]  # describes how the worker computed the statistics
    traceparent: Mapped[str | None]  # the span of the request that submitted the job, if traces are on

    __table_args__ = (
        CheckConstraint(f"outcome in ({', '.join(map(repr, OUTCOMES))})", name="outcome"),
        CheckConstraint("(outcome is null) = (finished_at is null)", name="finished"),
        Index("job_unfinished_idx", "model", "id", postgresql_where=text("outcome is null")),
        UniqueConstraint("owner", "idempotency_key"),
        Index(None, "owner", "id"),
        Index("job_finished_idx", "finished_at"),
        Index(  # counts the outcomes, and finds the latest finished jobs of a model
            "job_outcome_idx",
            "outcome",
            "model",
            "id",
            postgresql_where=text("outcome is not null and deletion_requested_at is null"),
        ),
        Index(
            "job_deletion_idx",
            "deletion_requested_at",
            postgresql_where=text("deletion_requested_at is not null"),
        ),
    )

    @property
    def analyses(self) -> tuple[str, ...]:
        """Empty for jobs that were accepted before this option existed."""
        return tuple(self.options.get("analyses", ()))

    @property
    def counts_special_tokens(self) -> bool:
        """Whether the files state them: jobs from before the option `special_tokens` do not."""
        return "special_tokens" in self.options

    @property
    def status(self) -> Status:
        if self.outcome is not None:
            return Status(self.outcome)
        return Status.QUEUED if self.started_at is None else Status.RUNNING


class Text(Base):
    """A text as it was submitted. `ordinal` is its number in the job.

    `text` is a string; if there is a `form` (of TextForm), it is the JSON of the token ids or messages. A
    text that was invalid when it was submitted has an `error` and is not measured; `text` is empty.
    """

    __tablename__ = "text"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    domain: Mapped[str]
    text: Mapped[str]
    pair: Mapped[str | None]  # texts of two domains with the same pair belong together
    form: Mapped[str | None]
    error: Mapped[str | None]


class Shard(Base):
    """A contiguous range of ordinals: leased, measured and committed whole.

    Each claim increases `epoch`; a commit with an older epoch finds no row and is discarded. `crashes`
    contains the ordinal of a text once for each worker that died while it measured that text alone.
    """

    __tablename__ = "shard"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first_ordinal: Mapped[int]
    end_ordinal: Mapped[int]
    epoch: Mapped[int] = mapped_column(server_default="0")
    attempt: Mapped[int] = mapped_column(server_default="0")
    lease_until: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    suspect: Mapped[int | None]  # the ordinal of the text that is measured alone at the moment
    crashes: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{}")

    __table_args__ = (
        CheckConstraint("first_ordinal < end_ordinal", name="not_empty"),
        Index("shard_open_idx", "job_id", "number", postgresql_where=text("done_at is null")),
    )


class ShardDomain(Base):
    """The numbers of texts of a domain in a shard. Their sums are the progress of the job."""

    __tablename__ = "shard_domain"

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    domain: Mapped[str] = mapped_column(primary_key=True)
    first_ordinal: Mapped[int]
    texts: Mapped[int]
    done: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")

    __table_args__ = (
        ForeignKeyConstraint(
            ["job_id", "number"],
            ["shard.job_id", "shard.number"],
            ondelete="CASCADE",
            name="shard_domain_shard_fkey",
        ),
    )


class StoredProfile(Base):
    """The results of a text. layerscope.values describes the layout of `values` and `analysis`.

    `values` is null if the text failed, and `analysis` is null if the text was not analysed.
    `special_tokens_added` is null if a version without this column measured the text. `massive` (the
    positions of the massive tokens), `massive_strings` and `square_norms` are null if the text failed or its
    job has no scope `typical`.
    """

    __tablename__ = "text_profile"

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tokens: Mapped[int]
    truncated: Mapped[bool]
    error: Mapped[str | None]
    values: Mapped[bytes | None]
    analysis: Mapped[bytes | None]
    special_tokens_added: Mapped[int | None]
    massive: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    massive_strings: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    square_norms: Mapped[bytes | None]

    __table_args__ = (
        ForeignKeyConstraint(
            ["job_id", "ordinal"],
            ["text.job_id", "text.ordinal"],
            ondelete="CASCADE",
            name="text_profile_text_fkey",
        ),
        CheckConstraint("(error is null) = (values is not null)", name="error_or_values"),
    )


class StoredTokens(Base):
    """The tokens of a text that was analysed with analysis `tokens`.

    layerscope.values describes the layout of `values`. `vocabulary` contains the string of every id among
    `token_ids` and among the most probable tokens of the logit lens.
    """

    __tablename__ = "token_profile"

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token_ids: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    vocabulary: Mapped[dict[str, Any]]
    values: Mapped[bytes]

    __table_args__ = (
        ForeignKeyConstraint(
            ["job_id", "ordinal"],
            ["text.job_id", "text.ordinal"],
            ondelete="CASCADE",
            name="token_profile_text_fkey",
        ),
    )
