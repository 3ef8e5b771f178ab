"""Users and their profiles."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, String, text, true
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base
from .facets import Merge, facet_version
from .mixins import SoftDeleteMixin
from .types import JSONType

if TYPE_CHECKING:
    from .videos import Video


def _unique_while_live(column: str) -> ExcludeConstraint:
    """Unique among users that are not deleted, checked at the end of each statement, so that a swap works.

    A plain unique index would make every upsert of a user lock out the foreign-key checks on it, and deadlock.
    """
    return ExcludeConstraint(
        (column, "="),
        name=f"uq_users_{column}",
        using="btree",
        where=text("deleted_at IS NULL"),
        deferrable=True,
        initially="IMMEDIATE",
    )


class User(SoftDeleteMixin, Base):
    """A user of the product. `version` 0 is a placeholder: other rows refer to it, its own events have not come yet."""

    __tablename__ = "users"
    __table_args__ = (
        _unique_while_live("username"),
        _unique_while_live("email"),
        CheckConstraint("username ~ '^[a-zA-Z0-9_]{3,50}$'", name="username_format"),
        Index("ix_users_created_at", "created_at", postgresql_using="brin"),
        Index("ix_users_updated_at", "updated_at", postgresql_using="brin"),
        {"postgresql_with": {"fillfactor": 75}},
    )
    __merge__: ClassVar[Merge] = Merge(
        {
            "account": ("username", "email", "avatar_url"),
            "activation": ("is_active",),
            "preferences": ("preferences",),
            "login": ("last_login_at",),
            "deletion": ("deleted_at",),
        }
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    username: Mapped[str | None] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(100))
    avatar_url: Mapped[str | None] = mapped_column(String(500))
    is_active: Mapped[bool] = mapped_column(server_default=true(), default=True)
    preferences: Mapped[dict[str, Any]] = mapped_column(JSONType, server_default="{}", default=dict)
    last_login_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    account_version: Mapped[int] = facet_version()
    activation_version: Mapped[int] = facet_version()
    preferences_version: Mapped[int] = facet_version()
    login_version: Mapped[int] = facet_version()
    deletion_version: Mapped[int] = facet_version()
    version: Mapped[int] = facet_version()

    videos: Mapped[list["Video"]] = relationship(
        back_populates="user", cascade="all, delete-orphan", passive_deletes=True
    )
    profile: Mapped["UserProfile | None"] = relationship(
        back_populates="user", cascade="all, delete-orphan", passive_deletes=True
    )


class UserProfile(Base):
    """What a user wrote about themselves. One to one with the user."""

    __tablename__ = "user_profiles"
    __merge__: ClassVar[Merge] = Merge(
        {"profile": ("full_name", "company", "locale", "timezone", "bio")}, version="profile_version", key="user_id"
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    full_name: Mapped[str | None] = mapped_column(String(200))
    company: Mapped[str | None] = mapped_column(String(200))
    locale: Mapped[str | None] = mapped_column(String(35))
    timezone: Mapped[str | None] = mapped_column(String(64))
    bio: Mapped[str | None] = mapped_column(String(5000))

    profile_version: Mapped[int] = facet_version()

    user: Mapped[User] = relationship(back_populates="profile")
