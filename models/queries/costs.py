"""What models cost, and how much they did: sums over the facts in model_usage, by the time of use.

Facts stay when the video or the user that they are about is deleted, so these sums count them: the money was spent. A
fact without a cost or without units adds nothing. Costs are US dollars. With a window, the BRIN index on `used_at`
finds the facts; of one user, the index on `user_id`; else all facts are read.
"""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Numeric, Select, cast, func, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute

from reelsync.models.usage import ModelUsage

from .conditions import day_of, within
from .naming import named


@named
def costs_by_model(
    *, since: datetime | None = None, until: datetime | None = None, user_id: UUID | None = None
) -> Select[str, int, Decimal, int, int]:
    """Rows of `model_name`, `uses`, `cost_usd`, `input_units`, `output_units`; dearest first.

    SQL: `SELECT model_name, count(*), coalesce(sum(cost_usd), 0), … FROM model_usage … GROUP BY model_name ORDER BY 3
    DESC, model_name`.
    """
    cost = _cost().label("cost_usd")
    return (
        select(
            ModelUsage.model_name,
            func.count().label("uses"),
            cost,
            _units(ModelUsage.input_units).label("input_units"),
            _units(ModelUsage.output_units).label("output_units"),
        )
        .where(*_used(since, until, user_id))
        .group_by(ModelUsage.model_name)
        .order_by(cost.desc(), ModelUsage.model_name)
    )


@named
def costs_by_user(
    *, since: datetime | None = None, until: datetime | None = None, limit: int = 100
) -> Select[UUID, int, Decimal, int, int]:
    """Rows of `user_id`, `uses`, `cost_usd`, `input_units`, `output_units`; dearest first.

    SQL: `SELECT user_id, count(*), coalesce(sum(cost_usd), 0), … FROM model_usage … GROUP BY user_id ORDER BY 3 DESC,
    user_id LIMIT :limit`. For names, ask `user_names` for the ids of the page.
    """
    cost = _cost().label("cost_usd")
    return (
        select(
            ModelUsage.user_id,
            func.count().label("uses"),
            cost,
            _units(ModelUsage.input_units).label("input_units"),
            _units(ModelUsage.output_units).label("output_units"),
        )
        .where(*_used(since, until, None))
        .group_by(ModelUsage.user_id)
        .order_by(cost.desc(), ModelUsage.user_id)
        .limit(limit)
    )


@named
def daily_costs(
    *, since: datetime | None = None, until: datetime | None = None, user_id: UUID | None = None
) -> Select[date, int, Decimal]:
    """Rows of `day` (UTC), `uses`, `cost_usd`, in the order of the days. Days without a use are left out.

    SQL: `SELECT CAST(timezone('UTC', used_at) AS DATE), count(*), coalesce(sum(cost_usd), 0) FROM model_usage … GROUP
    BY 1 ORDER BY 1`.
    """
    day = day_of(ModelUsage.used_at).label("day")
    return (
        select(day, func.count().label("uses"), _cost().label("cost_usd"))
        .where(*_used(since, until, user_id))
        .group_by(day)
        .order_by(day)
    )


def _used(since: datetime | None, until: datetime | None, user_id: UUID | None) -> list[ColumnElement[bool]]:
    conditions = within(ModelUsage.used_at, since, until)
    return conditions if user_id is None else [*conditions, ModelUsage.user_id == user_id]


def _cost() -> ColumnElement[Decimal]:
    return type_coerce(func.coalesce(func.sum(ModelUsage.cost_usd), 0), Numeric(asdecimal=True))


def _units(column: InstrumentedAttribute[int | None]) -> ColumnElement[int]:
    # sum(bigint) is numeric, because the sum may be too large for bigint.
    return cast(func.coalesce(func.sum(column), 0), BigInteger)
