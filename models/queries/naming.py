"""The name of each query, for the timing of statements: `queries.` and the name of its function."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy import Executable

from reelsync.models.query_names import MODEL_QUERIES

Parameters = ParamSpec("Parameters")
Statement = TypeVar("Statement", bound=Executable)


def named(query: Callable[Parameters, Statement]) -> Callable[Parameters, Statement]:
    """The query, with the execution option `query_name`.

    Raises:
        LookupError: the name is not declared in `models/query_names.py`.
    """
    query_name = f"queries.{query.__name__}"
    if query_name not in MODEL_QUERIES:
        raise LookupError(f"declare {query_name} in models/query_names.py")

    @wraps(query)
    def build(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Statement:
        return query(*args, **kwargs).execution_options(query_name=query_name)

    return build
