"""Times as the databases keep them: ``timestamptz`` in PostgreSQL, text that sorts as the times do in SQLite."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, String, TypeDecorator
from sqlalchemy.types import TypeEngine

__all__ = ["UtcTime", "moment", "utc", "utc_text"]


class UtcTime(TypeDecorator[datetime]):
    """An aware time: ``timestamptz``, or ISO 8601 text in UTC where the database has no such type."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = DateTime(timezone=True)
    cache_ok: bool | None = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind: TypeEngine[Any] = String(32) if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        return value if value is None or dialect.name != "sqlite" else utc_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        try:
            return utc(value)
        except ValueError:
            unread: datetime | None = value  # whoever reads the row knows which one it is, and says so
            return unread


def utc_text(time: datetime) -> str:
    """A time as SQLite keeps it."""
    return (time if time.tzinfo is UTC else time.astimezone(UTC)).isoformat(timespec="microseconds")


def utc(value: object) -> datetime | None:
    """A time of either database, aware and in UTC; raises ValueError for text that is none."""
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time.astimezone(UTC) if isinstance(time, datetime) else None


def moment(value: object) -> datetime:
    """As `utc`, for a time that there is; raises ValueError where there is none."""
    time = utc(value)
    if time is None:
        raise ValueError("expected a time")
    return time
