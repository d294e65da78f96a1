"""The tables. PostgreSQL holds all state. The status of a job follows from columns that are written once."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.coordination import CLOCK
from layerscope.names import (
    ANALYSIS_STATISTIC_COLUMNS,
    COMPARISON_COUNTS,
    COMPARISON_KEY,
    COMPARISON_STATISTICS,
    FIRST_TOKEN_KEY,
    MASSIVE_TOKENS_KEY,
    OUTCOMES,
    RANK_COLUMNS,
    RESULTS_KEY,
    SCOPES,
    SHARES,
    STATISTIC_COLUMNS,
    TOP_ACTIVATION_COLUMNS,
    Status,
)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        bytes: BYTEA,
        float: Double,
    }


class Job(Base):
    """One request: a model, texts by domain, options."""

    __tablename__ = "job"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    name: Mapped[str | None]
    model: Mapped[str]
    options: Mapped[dict[str, Any]]
    # Jobs of earlier versions lack the last scope.
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String), insert_default=lambda: list(SCOPES))
    texts: Mapped[int]
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
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

    __table_args__ = (
        CheckConstraint(f"outcome in ({', '.join(map(repr, OUTCOMES))})", name="outcome"),
        CheckConstraint("(outcome is null) = (finished_at is null)", name="finished"),
        Index("job_unfinished_idx", "model", "id", postgresql_where=text("outcome is null")),
        Index("job_finished_idx", "finished_at"),
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


class LoadedModel(Base):
    """A configured model, as it was described by the last worker that loaded it."""

    __tablename__ = "model"

    name: Mapped[str] = mapped_column(primary_key=True)
    measured_with: Mapped[dict[str, Any]]
    loaded_at: Mapped[datetime] = mapped_column(server_default=CLOCK)


def _key(*names: str) -> list[Column[Any]]:
    """The primary key of a table of statistics: the id of the job, and the given columns."""
    job: Column[Any] = Column("job_id", ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    string, integer = Text.__table__.c.domain.type, Shard.__table__.c.number.type
    types = [(name, integer if name in ("layer", "place") else string) for name in names]
    return [job, *(Column(name, kind, primary_key=True, autoincrement=False) for name, kind in types)]


layer_profile = Table(
    "layer_profile",
    Base.metadata,
    *_key(*RESULTS_KEY),
    Column("texts", Shard.__table__.c.number.type, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    *(Column(name, Double) for name in STATISTIC_COLUMNS),
    *(Column(name, Integer) for name in RANK_COLUMNS),
    # Statistics of the analysed texts, only in component `block` and scope `all`.
    Column("analysis_texts", Integer),
    *(Column(name, Double) for name in ANALYSIS_STATISTIC_COLUMNS),
)

comparison = Table(
    "comparison",
    Base.metadata,
    *_key(*COMPARISON_KEY),
    *(Column(name, Integer, nullable=False) for name in COMPARISON_COUNTS),
    *(Column(name, Double) for name in COMPARISON_STATISTICS),
)

massive_tokens = Table(
    "massive_tokens",
    Base.metadata,
    *_key(*MASSIVE_TOKENS_KEY),
    Column("texts", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("massive", BigInteger, nullable=False),
    Column("massive_first", Integer, nullable=False),
    Column("massive_share", Double, nullable=False),
    Column("norm_share", Double),
)

# The strings that are massive most often in each domain; `place` is 0 for the most frequent one.
massive_string = Table(
    "massive_string",
    Base.metadata,
    *_key("domain", "place"),
    Column("token", Text.__table__.c.domain.type, nullable=False),
    Column("massive", BigInteger, nullable=False),
    Column("texts", Integer, nullable=False),
)

# The share of the first token in `delta_abs_mean`, scope `all`. If texts were analysed, the rows of component
# `block` also contain the largest activations.
first_token = Table(
    "first_token",
    Base.metadata,
    *_key(*FIRST_TOKEN_KEY),
    Column("texts", Integer, nullable=False),
    *(Column(name, Double) for name in SHARES),
    Column("analysis_texts", Integer),
    *(
        Column(name, Double if name.startswith(("value", "ratio")) else Integer)
        for name in TOP_ACTIVATION_COLUMNS
    ),
)
