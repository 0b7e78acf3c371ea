"""Delivery: handing out the transitions that wait in the outbox."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from payhub_core.checkout.arguments import check_handler
from payhub_core.checkout.steps import Deliver, Record, Steps, Write
from payhub_core.errors import ConfigError, words_of
from payhub_core.ledger import failures, outbox
from payhub_core.ledger.arguments import check_limit
from payhub_core.ledger.changes import Handle, HandlerFailed, hand
from payhub_core.ledger.models import Transition
from payhub_core.ledger.orm import check_no_transaction

__all__ = ["deliver"]

logger: logging.Logger = logging.getLogger("payhub.checkout")


def deliver(
    handler: object, own: object, limit: int, progress: Callable[[Transition], object] | None, *, awaited: bool
) -> Steps[int]:
    """Tries ``limit`` transitions at most; returns how many ``handler`` took, or else the checkout's ``own``."""
    check_limit(limit)
    _check_taker(handler, own, awaited=awaited)
    delivered = 0
    for _ in range(limit):
        number: int | None = yield Write(outbox.claim)
        if number is None:
            break
        transition: Transition | None = None
        try:
            transition = yield Write(partial(outbox.read, number=number))
            if handler is None:
                if not (yield Record(partial(_hand, transition=transition, number=number), own)):
                    continue  # another process was quicker
            else:
                yield Deliver(handler, transition)
        except Exception as failed:
            yield from _note(transition, number, failed.error if isinstance(failed, HandlerFailed) else failed)
        else:
            if handler is not None:
                mark = partial(outbox.mark_delivered, number=number, transition=transition, now=datetime.now(UTC))
                yield Write(mark)
            delivered += 1
        if progress is not None and transition is not None:
            progress(transition)
    return delivered


def _check_taker(handler: object, own: object, *, awaited: bool) -> None:
    check_handler(handler, awaited=awaited)
    if handler is not None:
        check_no_transaction()
    elif own is None:
        raise ConfigError("this checkout has no handler", hint="give deliver a function of the transition alone")


def _note(transition: Transition | None, number: int, error: BaseException) -> Steps[None]:
    """Notes that it was not taken; its turn comes again later and later, and the others go on."""
    about = transition.id if transition else f"number {number}"
    logger.error("transition %s was not delivered: %s", about, words_of(error), exc_info=error)
    if transition is not None:
        note = partial(failures.note, account=transition.account, reference=transition.reference)
        yield Write(partial(note, source=failures.HANDLER, error=error))


def _hand(connection: Connection, handle: Handle, transition: Transition, number: int) -> bool:
    """Delivers in this one transaction, unless another process was quicker; says whether it did."""
    waited = outbox.mark_delivered(connection, number, transition, datetime.now(UTC))
    if waited:
        hand(connection, transition, handle)
    return waited
