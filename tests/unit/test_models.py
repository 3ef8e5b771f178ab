"""The models as objects: what they show, what they track, what their tables and constraints are called."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import JSON, create_engine, event, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import Session, make_transient_to_detached

from reelsync import models
from reelsync.models import (
    Base,
    ConsumerOffset,
    DeadLetter,
    JSONType,
    ModelUsage,
    SoftDeleteMixin,
    TimestampMixin,
    User,
    UserProfile,
    Video,
    VideoStatus,
)
from reelsync.models.upsert import UPSERTS

ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MIB = 1024 * 1024
TABLES = Base.metadata.tables


@pytest.mark.parametrize(
    "name",
    [
        *("Base", "TimestampMixin", "SoftDeleteMixin", "User", "UserProfile", "Video", "VideoStatus"),
        *("ModelUsage", "JSONType", "ConsumerOffset", "DeadLetter"),
    ],
)
def test_what_others_import_is_in_models(name: str) -> None:
    assert isinstance(getattr(models, name), type)
    assert name in models.__all__


@pytest.mark.parametrize(("length", "shown"), [(0, ""), (50, "x" * 50), (51, "x" * 49 + "…"), (5_000, "x" * 49 + "…")])
def test_repr_shortens_strings_over_50_characters(length: int, shown: str) -> None:
    assert repr(Video(title="x" * length)) == f"Video(title={shown!r})"


def test_repr_shows_the_class_and_the_columns_that_are_set() -> None:
    assert repr(Video(id=ID, file_size=5, deleted_at=None)) == f"Video(id={ID!r}, file_size=5, deleted_at=None)"
    assert repr(User()) == "User()"


def test_repr_leaves_out_relationships() -> None:
    user = User(username="bob")
    user.videos.append(Video(title="t"))
    assert repr(user) == "User(username='bob')"
    assert repr(user.videos[0]) == "Video(title='t')"


def test_repr_and_to_dict_of_an_expired_object_send_no_query() -> None:
    engine = create_engine("sqlite://")
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cur, statement, *_: statements.append(statement))
    with Session(engine) as session:
        offset = ConsumerOffset(consumer_group="g", topic="t", partition=0, next_offset=5)
        TABLES["consumer_offsets"].create(session.connection())
        session.add(offset)
        session.flush()
        session.expire(offset, ["next_offset"])
        statements.clear()
        assert "next_offset" not in repr(offset)
        session.expire(offset)
        assert repr(offset) == "ConsumerOffset()"
        assert offset.to_dict() == {}
        assert statements == []
        assert offset.next_offset == 5
        assert len(statements) == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (User(id=ID, created_at=NOON), {"id": str(ID), "created_at": "2026-01-05T12:00:00+00:00"}),
        (User(last_login_at=None, is_active=False), {"last_login_at": None, "is_active": False}),
        (User(preferences={"a": [1]}), {"preferences": {"a": [1]}}),
        (Video(status=VideoStatus.FAILED, duration_seconds=1.5), {"status": "failed", "duration_seconds": 1.5}),
        (ModelUsage(cost_usd=Decimal("0.000100")), {"cost_usd": "0.000100"}),
    ],
    ids=["id and time", "null and bool", "json", "enum and float", "decimal"],
)
def test_to_dict_has_iso_8601_times_and_values_that_json_has(row: Base, expected: dict[str, Any]) -> None:
    assert row.to_dict() == expected
    assert json.loads(json.dumps(row.to_dict())) == expected


def test_json_is_jsonb_on_postgresql_and_json_elsewhere() -> None:
    on_postgresql: Any = JSONType().dialect_impl(postgresql.dialect())
    elsewhere: Any = JSONType().dialect_impl(sqlite.dialect())
    assert isinstance(on_postgresql.impl, JSONB)
    assert isinstance(elsewhere.impl, JSON)
    assert not isinstance(elsewhere.impl, JSONB)


def test_a_change_made_in_place_in_preferences_marks_the_row_as_changed() -> None:
    user = User(id=ID, preferences={"theme": "dark"})
    make_transient_to_detached(user)
    assert isinstance(user.preferences, MutableDict)
    assert not inspect(user).attrs["preferences"].history.has_changes()
    user.preferences["theme"] = "light"
    assert inspect(user).modified
    assert "preferences" in inspect(user).committed_state


def test_a_row_is_put_away_and_taken_back() -> None:
    before = datetime.now(UTC)
    video = Video()
    video.soft_delete()
    assert video.deleted_at is not None
    assert before <= video.deleted_at <= datetime.now(UTC)
    video.soft_delete(NOON)
    assert video.deleted_at == NOON
    video.restore()
    assert video.deleted_at is None


@pytest.mark.parametrize(("model", "soft"), [(User, True), (Video, True), (UserProfile, False), (ModelUsage, False)])
def test_users_and_videos_can_be_put_away_and_all_are_timed(model: type[Base], soft: bool) -> None:
    assert issubclass(model, SoftDeleteMixin) is soft
    assert issubclass(model, TimestampMixin)
    computed = TABLES[model.__tablename__].c["is_deleted"].computed if soft else None
    assert (computed is not None and computed.persisted is True) is soft


def test_the_states_of_a_video_are_text() -> None:
    assert {name: status.value for name, status in VideoStatus.__members__.items()} == {
        name.upper(): name for name in ("pending", "processing", "completed", "failed")
    }
    assert VideoStatus("completed") is VideoStatus.COMPLETED
    assert f"{VideoStatus.FAILED}" == "failed"
    assert TABLES["videos"].c["status"].type.compile(postgresql.dialect()) == "VARCHAR(20)"


def test_video_id_is_another_name_of_the_id() -> None:
    assert Video(video_id=ID).id == ID
    assert Video(id=ID).video_id == ID
    assert "video_id" not in TABLES["videos"].c
    assert str(Video.video_id == ID) == str(Video.id == ID)


@pytest.mark.parametrize(
    ("size", "large"), [(None, False), (0, False), (100 * MIB, False), (100 * MIB + 1, True), (2**63 - 1, True)]
)
def test_a_file_over_100_mib_is_large_and_one_of_unknown_size_is_not(size: int | None, large: bool) -> None:
    assert Video(file_size=size).is_large_file is large


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("users", "pk_users uq_users_username uq_users_email ck_users_username_format"),
        ("user_profiles", "pk_user_profiles fk_user_profiles_user_id_users"),
        (
            "videos",
            "pk_videos fk_videos_user_id_users ck_videos_status ck_videos_progress ck_videos_owner_or_erased",
        ),
        ("model_usage", "pk_model_usage fk_model_usage_video_id_videos"),
        ("video_states", "pk_video_states"),
        ("consumer_offsets", "pk_consumer_offsets ck_consumer_offsets_next_offset"),
        ("dead_letters", "pk_dead_letters ck_dead_letters_stage ck_dead_letters_state"),
    ],
)
def test_constraints_are_named_by_kind_table_and_column(table: str, names: str) -> None:
    assert {str(constraint.name) for constraint in TABLES[table].constraints} == set(names.split())


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("users", "ix_users_created_at ix_users_updated_at"),
        (
            "videos",
            (
                "ix_videos_user_id_created_at ix_videos_former_owners ix_videos_failed ix_videos_unfinished "
                "ix_videos_created_at ix_videos_updated_at"
            ),
        ),
        ("model_usage", "ix_model_usage_video_id ix_model_usage_user_id ix_model_usage_used_at"),
        (
            "dead_letters",
            (
                "ix_dead_letters_aggregate_id ix_dead_letters_parked ix_dead_letters_latest ix_dead_letters_closed "
                "ix_dead_letters_corrected ix_dead_letters_unrelayed ix_dead_letters_named_ids ix_dead_letters_unread"
            ),
        ),
    ],
)
def test_indexes_are_named_by_table_and_column(table: str, names: str) -> None:
    assert {str(index.name) for index in TABLES[table].indexes} == set(names.split())


def test_no_btree_is_on_a_column_that_most_events_change() -> None:
    for table in ("users", "videos"):
        for index in TABLES[table].indexes:
            columns = set(index.columns.keys())
            method = index.dialect_options["postgresql"]["using"]
            assert method == "brin" or not columns & {"updated_at", "progress", "version"}, index.name


@pytest.mark.parametrize(
    ("model", "name", "many"), [(User, "videos", True), (User, "profile", False), (Video, "model_usage", True)]
)
def test_what_belongs_to_a_row_goes_with_it_and_the_database_sees_to_it(
    model: type[Base], name: str, many: bool
) -> None:
    relationship = inspect(model).relationships[name]
    assert (relationship.cascade.delete, relationship.cascade.delete_orphan) == (True, True)
    assert relationship.passive_deletes is True
    assert relationship.uselist is many
    assert [key.ondelete for key in relationship.mapper.local_table.foreign_keys] == ["CASCADE"]


@pytest.mark.parametrize(("model", "name"), [(UserProfile, "user"), (Video, "user"), (ModelUsage, "video")])
def test_what_a_row_belongs_to_stays(model: type[Base], name: str) -> None:
    cascade = inspect(model).relationships[name].cascade
    assert (cascade.delete, cascade.delete_orphan) == (False, False)


@pytest.mark.parametrize("model", list(UPSERTS), ids=lambda model: model.__name__)
def test_every_column_but_the_generated_one_is_in_the_merge_once(model: Any) -> None:
    columns = [column.name for column in model.__table__.columns if not column.computed]
    assert sorted(model.__merge__.columns) == sorted(columns)


@pytest.mark.parametrize("model", list(UPSERTS), ids=lambda model: model.__name__)
def test_a_merge_sends_all_rows_in_one_parameter(model: type[Base]) -> None:
    compiled = UPSERTS[model].compile(dialect=postgresql.asyncpg.dialect())
    assert list(compiled.params) == ["rows"]


def test_dead_letters_have_times_of_their_own() -> None:
    assert {"created_at", "updated_at"}.isdisjoint(TABLES["dead_letters"].c.keys())
    assert {"first_seen_at", "last_attempt_at"} <= set(inspect(DeadLetter).columns.keys())
