"""The models as objects: what they show, what they track, what they are called."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import JSON, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB

import models
from models import Base, DeadLetter, JSONType, ModelUsage, SoftDeleteMixin, TimestampMixin, User, Video, VideoStatus
from models.upsert import UPSERTS
from models.videos import LARGE_FILE_BYTES

ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def test_everything_promised_can_be_imported_from_models() -> None:
    promised = "Base TimestampMixin SoftDeleteMixin User UserProfile Video VideoStatus ModelUsage JSONType"
    assert [name for name in f"{promised} ConsumerOffset DeadLetter".split() if not hasattr(models, name)] == []


def test_repr_shortens_long_strings_and_shows_only_what_is_loaded() -> None:
    shown = repr(Video(id=ID, title="x" * 51, description="y" * 50))
    assert f"title='{'x' * 49}…'" in shown
    assert f"description='{'y' * 50}'" in shown
    assert "output_url" not in shown
    assert "user=" not in shown


def test_to_dict_has_values_that_json_has() -> None:
    used = ModelUsage(id=ID, cost_usd=Decimal("0.5"), used_at=datetime(2026, 1, 5, tzinfo=UTC))
    assert used.to_dict() == {"id": str(ID), "cost_usd": "0.5", "used_at": "2026-01-05T00:00:00+00:00"}
    assert Video(status=VideoStatus.FAILED).to_dict() == {"status": "failed"}


def test_the_states_of_a_video() -> None:
    assert [status.value for status in VideoStatus] == ["pending", "processing", "completed", "failed"]


def test_video_id_is_the_id() -> None:
    assert Video(video_id=ID).id == ID


@pytest.mark.parametrize(
    ("size", "large"), [(None, False), (LARGE_FILE_BYTES, False), (LARGE_FILE_BYTES + 1, True), (0, False)]
)
def test_a_file_over_100_mib_is_large(size: int | None, large: bool) -> None:
    assert Video(file_size=size).is_large_file is large


def test_json_is_jsonb_on_postgresql_and_json_elsewhere() -> None:
    assert isinstance(JSONType().dialect_impl(postgresql.dialect()).impl, JSONB)  # type: ignore[attr-defined]
    impl = JSONType().dialect_impl(sqlite.dialect()).impl  # type: ignore[attr-defined]
    assert isinstance(impl, JSON)
    assert not isinstance(impl, JSONB)


def test_soft_deletion_and_restoration() -> None:
    video = Video()
    video.soft_delete(datetime(2026, 1, 5, tzinfo=UTC))
    assert video.deleted_at == datetime(2026, 1, 5, tzinfo=UTC)
    video.restore()
    assert video.deleted_at is None
    assert issubclass(Video, SoftDeleteMixin)
    assert issubclass(Video, TimestampMixin)


@pytest.mark.parametrize(("model", "name"), [(User, "videos"), (User, "profile"), (Video, "model_usage")])
def test_what_belongs_to_a_row_goes_with_it(model: type[Base], name: str) -> None:
    relationship = inspect(model).relationships[name]
    assert relationship.cascade.delete_orphan
    assert relationship.cascade.delete
    assert relationship.passive_deletes is True


def test_every_constraint_and_index_has_a_name_by_the_convention() -> None:
    prefixes = ("pk_", "fk_", "ck_", "uq_", "ix_")
    for table in Base.metadata.tables.values():
        names = [str(item.name) for item in (*table.constraints, *table.indexes)]
        assert [name for name in names if not name.startswith(prefixes)] == []
    assert {"uq_users_username", "uq_users_email", "ck_users_username_format"} <= {
        str(constraint.name)
        for constraint in User.__table__.constraints  # type: ignore[attr-defined]
    }


def test_the_ledger_has_no_timestamps_but_its_own() -> None:
    assert "created_at" not in DeadLetter.__table__.columns
    assert "first_seen_at" in DeadLetter.__table__.columns


@pytest.mark.parametrize("model", list(UPSERTS))
def test_every_column_but_the_generated_one_is_in_the_merge(model: type[Base]) -> None:
    columns = {column.name for column in model.__table__.columns if not column.computed}
    assert columns == set(model.__merge__.columns)  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", list(UPSERTS))
def test_the_upsert_has_one_parameter(model: type[Base]) -> None:
    compiled = UPSERTS[model].compile(dialect=postgresql.asyncpg.dialect())  # type: ignore[attr-defined]
    assert list(compiled.params) == ["rows"]
