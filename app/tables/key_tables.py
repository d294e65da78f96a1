"""The table of keys."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from app.coordination import CLOCK
from app.tables.base import Base


class KeyScope(StrEnum):
    """What a key allows. Each scope includes those before it."""

    READ = "read"  # reads the jobs of its owner
    WRITE = "write"  # submits, cancels and deletes jobs of its owner
    ADMIN = "admin"  # does this with the jobs of all owners


KEY_SCOPES = tuple(KeyScope)


class ApiKey(Base):
    """A key, or a session of the page, which has the key that signed in as its parent.

    Keys are revoked, but never deleted: as soon as there is one, every request needs a key.
    """

    __tablename__ = "api_key"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    owner: Mapped[str]
    scope: Mapped[str]
    sha256: Mapped[bytes] = mapped_column(unique=True)  # of the key, which is not stored
    created_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"), index=True)

    __table_args__ = (
        CheckConstraint(f"scope in ({', '.join(map(repr, map(str, KEY_SCOPES)))})", name="scope"),
    )
