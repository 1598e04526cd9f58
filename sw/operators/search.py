"""Finding rows: by an operation of the graph, and by what a frontend calls it."""

from __future__ import annotations

from sw.errors import DnaError
from sw.operations import Operation
from sw.operators import table
from sw.operators.row import Frontend, Operator


def row_of(kind: type[Operation]) -> Operator:
    """The row of a class of operations.

    Raises:
        DnaError: there is none.
    """
    for row in table.TABLE:
        if row.operation is kind:
            return row
    raise DnaError(f"{kind.__name__} is not in the table of operators")


def find(frontend: Frontend, spelling: str) -> Operator | None:
    """The row that ``frontend`` calls ``spelling``; None if that is not supported."""
    for row in table.TABLE:
        if spelling in row.spelling[frontend].names:
            return row
    return None


def spellings(frontend: Frontend) -> str:
    """What ``frontend`` calls the operators with an operation of their own, for a message."""
    rows = [row for row in table.TABLE if row.operation is not None]
    return ", ".join(name for row in rows for name in row.spelling[frontend].names)


def nearest(frontend: Frontend, spelling: str) -> str:
    """What comes closest to something that is not supported, for a message."""
    for row in table.TABLE:
        if spelling in row.spelling[frontend].instead_of:
            return row.spelling[frontend].instead_of[spelling]
    return f"one of {spellings(frontend)}"
