"""Heartbeats: when the last pass was made, when an account last answered, and what was wrong when it did not."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, select, text

from payhub_core.errors import LedgerError
from payhub_core.ledger.queries import MEND
from payhub_core.ledger.tables import heartbeats
from payhub_core.ledger.times import UtcTime, moment

__all__ = ["ANSWERED", "PASS", "UNANSWERED", "put", "read"]

PASS, ANSWERED, UNANSWERED = "pass", "answered", "unanswered"

_PUT = text(
    "INSERT INTO payhub_heartbeats (account, kind, at, text) VALUES (:account, :kind, :at, :text) "
    "ON CONFLICT (account, kind) DO UPDATE SET at = excluded.at, text = excluded.text"
).bindparams(bindparam("at", type_=UtcTime))


def put(connection: Connection, kind: str, account: str = "", text: str = "") -> None:
    """Replaces the last one of its kind."""
    connection.execute(_PUT, {"account": account, "kind": kind, "at": datetime.now(UTC), "text": text})


def read(connection: Connection) -> dict[tuple[str, str], tuple[datetime, str]]:
    """The time and the text of each, by account and kind."""
    try:
        return {(row.account, row.kind): (moment(row.at), row.text) for row in connection.execute(select(heartbeats))}
    except ValueError:
        raise LedgerError("the ledger holds a time that payhub did not write", hint=MEND) from None
