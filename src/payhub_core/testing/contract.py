"""The contract: one class that an author derives from, and every case is run on the provider.

A test file is this much::

    from payhub_core.testing import ProviderContract, Sale

    class TestBank(ProviderContract):
        provider = Bank
        settings = {"merchant": "m1", "key": "a-key-of-sixteen-characters"}
        other = {"merchant": "m2", "key": "another-key-of-sixteen-chars"}
        acknowledged = b"OK"

        def message(self, sale: Sale) -> dict[str, Any]:
            words = {PaymentStatus.PENDING: "open", PaymentStatus.PAID: "done"}
            return {"merchant": sale.settings["merchant"], "id": sale.reference, "minor": sale.amount.minor,
                    "state": sale.word or words[sale.status], "url": sale.url}

        def answer(self, request: Request, sale: Sale) -> Response:
            if sale.no:
                codes = {"missing": 404, "refused": 422, "account": 401}
                return Response(codes[sale.no], json={"error": sale.no})
            return Response(200, json=self.message(sale))

        def notify(self, sale: Sale) -> Callback:
            body = json.dumps(self.message(sale)).encode()
            return Callback("POST", {"X-Signature": hmac(sale.settings["key"], body)}, b"", body)

        def asked(self, request: Request) -> tuple[str, Money] | None:
            if request.method != "POST":
                return None
            body = json.loads(request.content)
            return body["id"], Money(body["minor"], "CNY")

The class's name begins with "Test", as pytest wants it. A look-up that fails because the table lacks the sale's own
status, currency or ``no`` says that the gateway has no word for it: the case is then not applicable, and is counted.
"""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from payhub_core.errors import ConfigError
from payhub_core.flow import Request, Response
from payhub_core.models import Callback, Order
from payhub_core.money import Money
from payhub_core.pages import page
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Case, Mismatch, NotApplicable
from payhub_core.testing.cases import CASES
from payhub_core.testing.sale import Sale

__all__ = ["ProviderContract", "Verdict", "summary"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a case ended: ``passed``, ``failed``, ``excused`` or ``not applicable``; ``text`` says why."""

    case: Case
    outcome: str
    text: str = ""
    error: Exception | None = None


class ProviderContract:
    """What every provider has to do right, run as tests of the class that derives from this one.

    ``provider``: the provider's class.
    ``settings``: an account's settings, as a configuration has them; keys that open nothing.
    ``other``: what differs in those of another merchant: another identity, and every key another.
    ``acknowledged``: the body of the reply that the gateway wants for a callback; "{reference}" in it is the order's.
    ``tolerance``: how old a signed message may be, where the gateway signs its time; None where it does not.
    ``public``: settings that differ between merchants and are no secret, such as a gateway's public key.
    ``excuses``: by a case's id, the reason why it need not hold. One that holds after all is a failure.
    """

    provider: ClassVar[type[Any]]
    settings: ClassVar[dict[str, Any]]
    other: ClassVar[dict[str, Any]]
    acknowledged: ClassVar[bytes]
    tolerance: ClassVar[timedelta | None] = None
    public: ClassVar[frozenset[str]] = frozenset()
    excuses: ClassVar[dict[str, str]] = {}

    def answer(self, request: Request, sale: Sale) -> Response:
        """The gateway's answer to ``request``, whatever hook it is of, where it has ``sale``.

        A gateway that signs its answers signs with ``sale.settings``. Assert here what the gateway asks of requests,
        such as their signature, by ``self.settings``.
        """
        raise NotImplementedError("the Response that your gateway's manual has for a request")

    def notify(self, sale: Sale) -> Callback:
        """The callback in which the gateway's server says ``sale``, signed with ``sale.settings``.

        The same sale is always the same bytes: no random nonce, and no clock but ``sale.at``.
        """
        raise NotImplementedError("the Callback that your gateway's manual has, signed with sale.settings")

    def returned(self, sale: Sale) -> Callback:
        """The payer's browser coming back, where the gateway adds something to the address; leave it out if not."""
        raise NotImplementedError

    def asked(self, request: Request) -> tuple[str, Money] | None:
        """What ``request`` asks the gateway to do: its key, the shop's number of the order or refund, and the sum.

        None for a request that moves no money. Where a create sends nothing, this is the request of the payer's
        browser: the GET of a Redirect, or the POST of a form.
        """
        raise NotImplementedError("the shop's number and the sum that a request asks for, or None")

    def order(self, **changes: Any) -> Order:
        """An order that the gateway takes; it fits what the provider declares."""
        info = self.provider.info
        free = sorted(info.methods - info.payer_needed) or sorted(info.methods)
        currency = min(info.currencies)
        method = changes.get("method", free[0] if free else None)
        values: dict[str, Any] = {
            "reference": next(word for word in ("A1001", "1001", "a1001", "00001001") if self._fits(word)),
            "amount": Money(min(10000, info.largest_amount), currency),
            "description": "Tea",
            "method": method,
            "payer": "openid-1001" if method in info.payer_needed else None,
            "notify_url": "https://shop.example/pay/shop/notify",
            "return_url": "https://shop.example/thanks",
            **changes,
        }
        return Order(**values)

    def sale(self, order: Order | None = None, **changes: Any) -> Sale:
        """What the gateway has of ``order``, or of the contract's own: open, unless ``changes`` say otherwise."""
        order = order or self.order()
        values: dict[str, Any] = {
            "reference": order.reference,
            "amount": order.amount,
            "method": order.method,
            "attach": order.attach,
            "settings": dict(self.settings),
            **changes,
        }
        return Sale(**values)

    @property
    def returns(self) -> bool:
        """Whether the contract has a `returned`."""
        return type(self).returned is not ProviderContract.returned

    @property
    def created_at(self) -> datetime:
        """When the order was first sent."""
        return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)

    def _fits(self, reference: str) -> bool:
        info = self.provider.info
        return re.fullmatch(info.reference, reference) is not None

    # How it is run

    def run(self, case: Case) -> Verdict:
        """Runs one case; never raises."""
        excuse = self.excuses.get(case.id)
        try:
            case.check(Bench(self))
        except NotApplicable as reason:
            return Verdict(case, "not applicable", str(reason))
        except Mismatch as mismatch:
            text = _teach(case, mismatch)
            return Verdict(case, "excused", excuse, mismatch) if excuse else Verdict(case, "failed", text, mismatch)
        except (pytest.fail.Exception, NotImplementedError, ConfigError) as said:  # the contract is not whole yet
            return Verdict(case, "failed", f"{case.id}: {_next(said)}")
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            text = f"{case.id}: {case.what}\n  the contract could not play it: {trace}"
            return Verdict(case, "excused", excuse, error) if excuse else Verdict(case, "failed", text, error)
        if excuse:
            return Verdict(case, "failed", f"{case.id}: holds after all, so its excuse is out of date: {excuse!r}")
        return Verdict(case, "passed")

    @pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
    def test_case(self, case: Case) -> None:
        """One case of the list."""
        verdict = self.run(case)
        _verdicts(type(self))[case.id] = verdict
        if verdict.outcome == "not applicable":
            pytest.skip(f"not applicable: {verdict.text}")
        if verdict.outcome == "excused":
            pytest.xfail(f"excused: {verdict.text}")
        if verdict.outcome == "failed":
            pytest.fail(verdict.text, pytrace=False)

    def test_whole(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing was left out: what was not run before is run now, and the sum of it all is printed."""
        __tracebackhide__ = True
        if faults := self.altered():
            pytest.fail("; ".join(faults), pytrace=False)
        seen = _verdicts(type(self))
        late = [self.run(case) for case in CASES if case.id not in seen]
        verdicts = [*seen.values(), *late]
        with capsys.disabled():
            print(f"\n{type(self).__name__}: {summary(verdicts)}")  # noqa: T201  a green run says what it covered
        if failed := [verdict.text for verdict in late if verdict.outcome == "failed"]:
            pytest.fail("\n\n".join(failed), pytrace=False)

    @classmethod
    def altered(cls) -> list[str]:
        """What a derived class has replaced that is not an author's to fill in, and excuses for no case."""
        kept = ("run", "test_case", "test_whole", "altered")
        faults = [
            f"{name} was replaced: no case is run by it"
            for name in kept
            if _of(cls, name) is not _of(ProviderContract, name)
        ]
        known = {case.id for case in CASES}
        return faults + [f"there is no case {name!r} to excuse" for name in cls.excuses if name not in known]


def summary(verdicts: Iterable[Verdict]) -> str:
    """How many of the cases were run, and what became of them."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    missing = Counter(verdict.text for verdict in verdicts if verdict.outcome == "not applicable")
    ran = sum(counts.values()) - counts["not applicable"]
    text = f"ran {ran} of {len(CASES)}, excused {counts['excused']}, failed {counts['failed']}"
    if missing:
        text += "; not applicable: " + ", ".join(f"{reason} ({count})" for reason, count in missing.items())
    return text


def _verdicts(contract: type[ProviderContract]) -> dict[str, Verdict]:
    """What this process has run of a contract."""
    return _RUN.setdefault(contract, {})


_RUN: dict[type[ProviderContract], dict[str, Verdict]] = {}


def _next(said: BaseException) -> str:
    """What a contract that is not whole yet ends with: the one next thing to write."""
    if isinstance(said, NotImplementedError):
        return f"next: write {traceback.extract_tb(said.__traceback__)[-1].name}() in the contract: {said}"
    return str(said)


def _of(cls: type[ProviderContract], name: str) -> object:
    found = getattr(cls, name)
    return getattr(found, "__func__", found)


def _teach(case: Case, mismatch: Mismatch) -> str:
    return (
        f"{case.id}: {case.what}\n"
        f"  expected:  {mismatch.expected}\n"
        f"  what came: {mismatch.came}\n"
        f"  why:       {case.why}\n"
        f"  read:      {page(case.page)}"
    )
