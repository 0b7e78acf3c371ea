"""Delivery: handing out the transitions that wait in the outbox."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from payhub_core.checkout.steps import Deliver, Record, Steps, Store
from payhub_core.errors import ConfigError, plain, words_of
from payhub_core.ledger import failures, outbox
from payhub_core.ledger.changes import Handle, HandlerFailed, hand
from payhub_core.ledger.models import Transition
from payhub_core.ledger.orm import check_no_transaction

__all__ = ["check_handler", "check_limit", "deliver"]

logger: logging.Logger = logging.getLogger("payhub.checkout")


def check_handler(handler: object) -> None:
    """Raises ConfigError unless it is a function."""
    if not callable(handler):
        raise ConfigError(f"handler: expected a function, not {type(handler).__name__}")


def check_limit(limit: object) -> None:
    """Raises ConfigError unless it is a number of payments, or of transitions."""
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise ConfigError(f"expected a limit of zero or more, as an int, not {plain(limit)}")


def deliver(handler: object, own: object, limit: int) -> Steps[int]:
    """Tries ``limit`` transitions at most; returns how many ``handler`` took, or else the checkout's ``own``."""
    check_limit(limit)
    if handler is not None:
        check_handler(handler)
        check_no_transaction()
    elif own is None:
        raise ConfigError("this checkout has no handler", hint="give deliver a function of the transition alone")
    delivered = 0
    for _ in range(limit):
        number: int | None = yield Store(outbox.claim)
        if number is None:
            break
        transition: Transition | None = None
        try:
            transition = yield Store(partial(outbox.read, number=number))
            if handler is None:
                delivered += yield Record(partial(_hand, transition=transition, number=number), own)
                continue
            yield Deliver(handler, transition)
        except Exception as failed:
            error = failed.__cause__ or failed if isinstance(failed, HandlerFailed) else failed
            # Its turn comes again later and later; the others go on.
            about = transition.id if transition else f"number {number}"
            logger.exception("transition %s was not delivered: %s", about, words_of(error), exc_info=error)
            if transition is not None:
                note = partial(failures.note, account=transition.account, reference=transition.reference)
                yield Store(partial(note, source=failures.HANDLER, error=error))
            continue
        yield Store(partial(outbox.mark_delivered, number=number, transition=transition, now=datetime.now(UTC)))
        delivered += 1
    return delivered


def _hand(connection: Connection, handle: Handle, transition: Transition, number: int) -> bool:
    """Delivers in this one transaction, unless another process was quicker; says whether it did."""
    waited = outbox.mark_delivered(connection, number, transition, datetime.now(UTC))
    if waited:
        hand(connection, transition, handle)
    return waited
