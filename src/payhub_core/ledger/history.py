"""The history: what was heard of and done about a payment, and what of it is kept out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from payhub_core.errors import LedgerError, plain
from payhub_core.ledger.database import LEAVE
from payhub_core.ledger.models import Observation
from payhub_core.ledger.rows import Row, foreign
from payhub_core.ledger.sql import ADD_OBSERVATION, several
from payhub_core.ledger.tables import observations, payments
from payhub_core.ledger.times import moment
from payhub_core.logs import SECRET_FIELDS

__all__ = ["add", "history", "noted", "said_last", "values"]

_LONGEST_RAW = 32 * 1024
_LONGEST_NOTE = 500
_json = json.JSONEncoder(default=str).encode  # made once: making one costs more than most of its uses


def values(
    row: Row,
    source: str,
    said: str,
    now: datetime,
    raw: Mapping[str, Any],
    *,
    gateway_id: str | None = None,
    paid_minor: int | None = None,
) -> tuple[Any, ...]:
    """An observation of the payment in ``row`` as it is stored; signatures and overlong content are left out."""
    text = _json({key: value for key, value in raw.items() if key.lower() not in SECRET_FIELDS})
    return ADD_OBSERVATION.values(
        payment_id=row.id,
        version=row.version,
        at=now,
        source=source,
        said=said,
        gateway_id=gateway_id,
        paid_minor=paid_minor,
        raw=text if len(text) <= _LONGEST_RAW else _json({"left_out": f"{len(text)} characters"}),
    )


def add(connection: Connection, observation: tuple[Any, ...], *, commit: bool = False) -> None:
    """Appends an observation, and may commit with it."""
    try:
        several(connection, [(ADD_OBSERVATION, observation)], commit=commit)
    except connection.dialect.loaded_dbapi.IntegrityError as error:
        if "payhub_observations" not in str(error):  # a constraint of the application's, which is checked at the end
            raise
        raise LedgerError("the handler has undone what was recorded in its transaction", hint=LEAVE) from error


def noted(text: str) -> str:
    """What a person notes, as it is kept: one line, not overlong; nothing of what is no text."""
    return plain(text.strip(), _LONGEST_NOTE) if isinstance(text, str) else ""


def said_last(connection: Connection, row: Row, source: str, said: str) -> bool:
    """Whether the last thing that was heard of the payment in ``row`` is what ``source`` has ``said``."""
    mine = select(observations.c.source, observations.c.said).where(observations.c.payment_id == row.id)
    last = connection.execute(mine.order_by(observations.c.id.desc()).limit(1)).one_or_none()
    return last is not None and (last.source, last.said) == (source, said)


def history(connection: Connection, account: str, reference: str) -> list[Observation]:
    """What was heard and done about one payment, oldest first."""
    query = (
        select(observations)
        .join(payments, payments.c.id == observations.c.payment_id)
        .where(payments.c.account == account, payments.c.reference == reference)
        .order_by(observations.c.id)
    )
    try:
        return [
            Observation(moment(row.at), row.source, row.said, row.gateway_id, row.paid_minor, _raw(row.raw))
            for row in connection.execute(query)
        ]
    except (ValueError, TypeError, RecursionError):
        raise foreign("an observation", account, reference) from None


def _raw(text: str) -> dict[str, Any]:
    raw = json.loads(text, parse_constant=str)  # NaN is no JSON, and would be none again
    if not isinstance(raw, dict):
        raise TypeError(f"expected an object, not {type(raw).__name__}")
    return raw
