"""The table of operators of :mod:`sw.operators` as a part of ``docs/models.md``."""

from __future__ import annotations

from sw.operators import FRONTENDS, Operator, Spelling, table


def tables() -> str:
    """Tables in Markdown: what is taken of each operator and becomes of it, and its spellings."""
    rows = [
        "| operator | accepted | in the graph | on the machine |",
        "|---|---|---|---|",
        *(
            f"| {row.name} | {_accepted(row)} | {row.graph} | {row.machine} |"
            for row in table.TABLE
        ),
        "",
        f"| operator | {' | '.join(FRONTENDS.values())} |",
        "|---" * (1 + len(FRONTENDS)) + "|",
        *(
            f"| {row.name} | {' | '.join(_spelling(row.spelling[key]) for key in FRONTENDS)} |"
            for row in table.TABLE
        ),
        "",
    ]
    return "\n".join(rows)


def _accepted(row: Operator) -> str:
    return "; ".join([row.accepts, *(constraint.rule for constraint in row.constraints)])


def _spelling(spelling: Spelling) -> str:
    names = ", ".join(f"`{name.replace('.default', '')}`" for name in spelling.names)
    return "; ".join(part for part in (names, spelling.note or spelling.absent) if part)
