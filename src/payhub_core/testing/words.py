"""The words of a contract's gateway: what it says of a sale, and what it has no word for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from payhub_core.flow import Request, Response
from payhub_core.models import PaymentStatus, RefundStatus
from payhub_core.testing.case import NotApplicable
from payhub_core.testing.messages import enclosed, texts
from payhub_core.testing.sale import Sale

if TYPE_CHECKING:
    from payhub_core.testing.contract import ProviderContract

__all__ = ["TOMORROW", "answered", "around", "made", "said"]

T = TypeVar("T")

#: A word that no gateway has yet.
TOMORROW = "a-word-of-tomorrow"
#: Other words, each around one that the gateway has.
_AROUND = ("un{}", "not_{}", "{}_reversed")

#: The status that every gateway has a word for, by the hook that is told of it.
_USUAL = {"create_payment": PaymentStatus.PENDING, "close": PaymentStatus.CANCELED}


def said(contract: ProviderContract, say: Callable[[Sale], T], sale: Sale, hook: str, kind: type[T]) -> T:
    """What ``say``, a method of the contract, says of ``sale`` to ``hook``.

    Raises NotApplicable where the gateway has no word for what sets this sale apart from a usual one. One without a
    word for the usual would take every case with it, so the contract fails then.
    """
    name = say.__name__
    unusual = _unusual(contract, sale, hook if name != "refund_notify" else name)
    try:
        found: object = say(sale)
    except NotApplicable as reason:
        if unusual:
            raise
        _fail(name, hook, f"{reason}", "")
    except KeyError as error:
        words = {
            "status": sale.status,
            "refund_status": sale.refund_status,
            "no": sale.no,
            "currency": sale.amount.currency,
        }
        alike = [word for word, value in words.items() if value and error.args == (value,)]
        # Two enumerations have words in common, such as "refunded".
        exact = [word for word in alike if type(words[word]) is type(error.args[0])]
        if not alike:
            raise
        word = next((word for word in exact or alike if word in unusual), (exact or alike)[0])
        about = f"the gateway has no {'answer' if word == 'no' else word} {str(words[word])!r}"
        if word in unusual:
            raise NotApplicable(about) from error
        _fail(name, hook, about, word)
    if not isinstance(found, kind):
        raise TypeError(
            f"{name}() returned {type(found).__name__}, expected a {kind.__name__}. For what it never says raise "
            "NotApplicable"
        )
    return found


def around(plain: Iterable[bytes], unknown: Iterable[bytes], further: Iterable[str]) -> list[str]:
    """Words that no gateway has yet, around what ``plain`` has where ``unknown`` has TOMORROW, or a ``further`` one."""
    known, written = ({**texts(*told), **_enclosed(told)} for told in ([*plain], [*unknown]))
    own = []
    for name, text in written.items():
        before, found, behind = text.partition(TOMORROW)
        if found and (word := re.fullmatch(f"{re.escape(before)}(.+){re.escape(behind)}", known.get(name, ""))):
            own.append(word[1])
    return [shape.format(word) for word in dict.fromkeys([*own, *further]) if word for shape in _AROUND]


def _enclosed(told: Iterable[bytes]) -> dict[str, str]:
    return {name: text for data in told for name, text in enclosed(data).items()}


def made(make: Callable[..., T], *given: Any, **changes: Any) -> T:
    """What ``make``, a contract's `order` or `sale`, makes: a case without one would be lost, so the contract fails."""
    try:
        return make(*given, **changes)
    except NotApplicable as reason:
        pytest.fail(
            f"{make.__name__}(): {reason}. Only answer(), notify(), refund_notify() and returned() may say so",
            pytrace=False,
        )


def answered(contract: ProviderContract, request: Request, sale: Sale, hook: str) -> Response:
    """The contract's answer to a request of ``hook``."""

    def answer(sale: Sale) -> Response:
        return contract.answer(request, sale)

    return said(contract, answer, sale.but(hook=hook), hook, Response)


def _unusual(contract: ProviderContract, sale: Sale, hook: str) -> set[str]:
    """What sets ``sale`` apart from one that every gateway has words for: what a case may ask for in vain."""
    own, of_refund = contract.sale(), hook == "refund_notify"
    usual: Mapping[str, bool] = {
        "no": not sale.no,
        "word": not sale.word and not sale.refund_word,
        "status": sale.status is _USUAL.get(hook, PaymentStatus.PAID),
        "currency": sale.amount.currency in contract.provider.info.currencies,
        "refund_status": sale.refund_status is (RefundStatus.REFUNDED if of_refund else own.refund_status),
        "refund_reference": bool(sale.refund_reference),
        "paid": sale.paid in {None, sale.amount},
        "refund": sale.refund in {None, sale.amount},
        "refund_made": not sale.refund_made,
        "attach": sale.attach in {"", own.attach},
        "refunded": sale.refunded is None,
    }
    return {name for name, holds in usual.items() if not holds}


def _fail(name: str, hook: str, about: str, word: str) -> NoReturn:
    hints: dict[str, Any] = {
        "refund_status": "Where the gateway answers a refund otherwise, set refund_status in the contract",
        "currency": "The provider declares it",
    }
    hint = hints.get(word, "Where the gateway cannot say it at all, excuse the cases by name")
    if name == "refund_notify":
        hint = "Where the gateway sends no message about a refund, leave it out"
    pytest.fail(f"{name}(), asked of {hook}: {about}. Every gateway has to say this: write it. {hint}", pytrace=False)
