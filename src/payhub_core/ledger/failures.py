"""Failures: what went wrong with one payment, in its history, counted where it goes wrong again."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from payhub_core.errors import PayhubError
from payhub_core.ledger.tables import observations, payments

__all__ = ["HANDLER", "note"]

#: The source of an observation that the application's handler failed.
HANDLER = "handler"
_LONGEST_TYPE = 32


def note(
    connection: Connection, account: str, reference: str, *, source: str, error: BaseException, of: str = ""
) -> None:
    """Adds that ``source`` ended in ``error``, by the error's type; counts up where that is the last thing noted.

    ``of`` is the transition that the handler was given, by its name. Only payhub's own errors are quoted: what others
    say may hold what a payer typed.
    """
    one = (payments.c.account == account, payments.c.reference == reference)
    number = connection.execute(select(payments.c.id).where(*one)).scalar_one_or_none()
    if number is None:
        return
    now = datetime.now(UTC)
    said, raw = type(error).__name__[:_LONGEST_TYPE], {"times": 1, "since": now.isoformat()}
    mine = select(observations).where(observations.c.payment_id == number).order_by(observations.c.id.desc()).limit(1)
    last = connection.execute(mine).one_or_none()
    again = last is not None and (last.source, last.said) == (source, said)
    if last is not None and again:
        before = json.loads(last.raw)  # of which a shop may have taken out what payers typed
        raw |= {"times": before.get("times", 1) + 1, "since": before.get("since", raw["since"])}
    if of:
        raw["of"] = of
    if isinstance(error, PayhubError):
        raw["reason"] = error.message
    values = {"at": now, "raw": json.dumps(raw)}
    if last is not None and again:
        connection.execute(update(observations).where(observations.c.id == last.id).values(values))
    else:
        connection.execute(insert(observations).values(payment_id=number, source=source, said=said, **values))
