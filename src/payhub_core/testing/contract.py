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
                codes = {"missing": 404, "refused": 422, "duplicate": 409, "account": 401}
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

The class's name begins with "Test", as pytest wants it. Where a case asks for an unusual sale, such as one that failed,
a look-up that fails for its status, currency, ``no`` or ``refund_status`` says that the gateway has no word for it: the
case is then not applicable, and is counted. Without a word for a usual sale the contract fails.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from payhub_core.declaration import fits_reference, sample_extra
from payhub_core.errors import ConfigError
from payhub_core.flow import Request, Response
from payhub_core.hookspecs import HOOKS
from payhub_core.models import Callback, Order, RefundStatus, Reply
from payhub_core.money import Money
from payhub_core.pages import page
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Case, Mismatch, NotApplicable
from payhub_core.testing.cases import CASES
from payhub_core.testing.outcome import Call
from payhub_core.testing.sale import Sale

__all__ = ["ProviderContract", "Verdict", "summary"]


#: Order numbers for gateways of most grammars; a contract whose gateway takes none of them has its own.
_REFERENCES = ("A1001", "1001", "a1001", "00001001", "11")
_NEVER_SAID = (
    'Where it is about what the gateway never says, raise NotApplicable("...") there, from payhub_core.testing.'
)


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
    ``acknowledged``: the body of the reply that the gateway wants for a callback; "{reference}" in it is the order's. A
    whole Reply has its media type and its status compared as well.
    ``tolerance``: how old a signed message may be, where the gateway signs its time; None where it does not.
    ``public``: settings that differ between merchants and are no secret, such as a gateway's public key.
    ``gateway_ids``: the gateway's numbers of two payments, as it writes them; ``refund_references``: the shop's numbers
    of two refunds, as the gateway takes them.
    ``refund_status``: what the gateway answers to a refund that it takes: REFUNDED, or PENDING where it is done later.
    ``refund_keys_expire``: whether the gateway forgets a refund's number after a time, and takes the same again.
    ``words``: by a PaymentStatus, or by the ``no`` of a sale, the further words that the gateway has for it: each is
    tried, as the sale's ``word``. ``refund_words``: those of refunds, by a RefundStatus.
    ``excuses``: by a case's id, the reason why it need not hold; "secret.address[query]" excuses one hook, in a case
    that plays every hook. One that holds after all is a failure.
    """

    provider: ClassVar[type[Any]]
    settings: ClassVar[dict[str, Any]]
    other: ClassVar[dict[str, Any]]
    acknowledged: ClassVar[bytes | Reply]
    tolerance: ClassVar[timedelta | None] = None
    public: ClassVar[frozenset[str]] = frozenset()
    gateway_ids: ClassVar[tuple[str, str]] = ("70010001", "70010002")
    refund_references: ClassVar[tuple[str, str]] = ("R1001", "R1002")
    refund_status: ClassVar[RefundStatus] = RefundStatus.REFUNDED
    refund_keys_expire: ClassVar[bool] = False
    words: ClassVar[Mapping[str, Sequence[str]]] = {}
    refund_words: ClassVar[Mapping[RefundStatus, Sequence[str]]] = {}
    excuses: ClassVar[dict[str, str]] = {}

    def answer(self, request: Request, sale: Sale) -> Response:
        """The gateway's answer to ``request``, whatever hook it is of, where it has ``sale``.

        A gateway that signs its answers signs with ``sale.settings``. Assert here what the gateway asks of requests,
        such as their signature, by ``self.settings``. ``sale.hook`` is the hook that asks.
        """
        raise NotImplementedError("the Response that your gateway's manual has for a request")

    def notify(self, sale: Sale) -> Callback:
        """The callback in which the gateway's server says ``sale``, signed with ``sale.settings``.

        The same sale is always the same bytes: no random nonce, and no clock but ``sale.at``.
        """
        raise NotImplementedError("the Callback that your gateway's manual has, signed with sale.settings")

    def refund_notify(self, sale: Sale) -> Callback:
        """The callback in which the gateway says where one refund stands; leave it out if it sends none.

        It is about ``sale.refund``, of the shop's number ``sale.refund_reference``. That is "" for one that the shop
        did not ask for, as in the gateway's back office: write it as the gateway does, without the shop's number.
        """
        raise NotImplementedError

    def returned(self, sale: Sale) -> Callback:
        """The payer's browser coming back, where the gateway adds something to the address; leave it out if not."""
        raise NotImplementedError

    def others(self, sale: Sale) -> Sequence[Callback]:  # noqa: ARG002
        """Genuine messages that are about no payment, or end none: of a dispute, a test, an untold refund; of ``sale``.

        Leave it out where the gateway sends none.
        """
        return ()

    def asked(self, request: Request) -> tuple[str, Money | int | None] | None:
        """What ``request`` asks the gateway to do: its key, the shop's number of the order or refund, and the sum.

        A request that names no currency has a sum in minor units, one that names no sum None: all of the order's. None
        alone is for a request that moves no money. Where a create sends nothing, this is the request of the payer's
        browser: the GET of a Redirect, or the POST of a form.
        """
        raise NotImplementedError("the shop's number and the sum that a request asks for, or None")

    def confirms(self, request: Request) -> bool:  # noqa: ARG002
        """Whether ``request`` is the confirmation without which the gateway gives the money back to the payer.

        Leave it out where the gateway asks for none. A payment is then paid once its confirmation has succeeded; what
        an `answer` says AUTHORIZED of waits for it.
        """
        return False

    def order(self, **changes: Any) -> Order:
        """An order that the gateway takes; it fits what the provider declares."""
        info = self.provider.info
        free = sorted(info.methods - info.payer_needed) or sorted(info.methods)
        currency = min(info.currencies)
        method = changes.get("method", free[0] if free else None)
        values: dict[str, Any] = {
            "reference": changes["reference"] if "reference" in changes else self._reference(),
            "amount": Money(min(10000, info.largest_amount), currency),
            "description": "Tea",
            "method": method,
            "payer": "openid-1001" if method in info.payer_needed else None,
            "notify_url": "https://shop.example/pay/shop/notify",
            "return_url": "https://shop.example/thanks",
            **changes,
            "extra": {**sample_extra(info), **changes.get("extra", {})},
        }
        return Order(**values)

    def sale(self, order: Order | None = None, **changes: Any) -> Sale:
        """What the gateway has of ``order``, or of the contract's own: open, unless ``changes`` say otherwise."""
        order = order or self.order()
        values: dict[str, Any] = {
            "reference": order.reference,
            "amount": order.amount,
            "method": order.method,
            "description": order.description,
            "attach": order.attach,
            "gateway_id": self.gateway_ids[0],
            "refund_reference": self.refund_references[0],
            "refund_status": self.refund_status,
            "settings": dict(self.settings),
            **changes,
        }
        return Sale(**values)

    @property
    def returns(self) -> bool:
        """Whether the contract has a `returned`."""
        return type(self).returned is not ProviderContract.returned

    @property
    def tells_refunds(self) -> bool:
        """Whether the contract has a `refund_notify`."""
        return type(self).refund_notify is not ProviderContract.refund_notify

    @property
    def confirming(self) -> bool:
        """Whether the contract has a `confirms`."""
        return type(self).confirms is not ProviderContract.confirms

    def _reference(self) -> str:
        for word in _REFERENCES:
            if fits_reference(self.provider.info, word):
                return word
        pytest.fail(
            f"next: write order() in the contract: info.reference takes none of {', '.join(_REFERENCES)}; return "
            'super().order(**{"reference": "...", **changes}) with one that it takes',
            pytrace=False,
        )

    # How it is run

    def run(self, case: Case) -> Verdict:
        """Runs one case; never raises."""
        verdict = self._played(case)
        excuses = {_hook(name): why for name, why in self.excuses.items() if _case(name) == case.id}
        if not excuses or verdict.outcome == "not applicable" or (verdict.outcome == "failed" and not verdict.error):
            return verdict
        if "" in excuses:
            idle = [] if verdict.outcome == "failed" else [""]
        else:
            rest = self._played(case, excuses.keys())
            if rest.outcome == "failed":
                return rest
            idle = [one for one in excuses if self._played(case, excuses.keys() - {one}).outcome != "failed"]
        if idle:
            why = excuses[idle[0]]
            return Verdict(case, "failed", f"{case.id}: holds after all, so its excuse is out of date: {why!r}")
        return Verdict(case, "excused", "; ".join(excuses.values()), verdict.error)

    def _played(self, case: Case, without: Collection[str] = ()) -> Verdict:
        """How a case ends, whatever is excused."""
        bench = None
        try:
            bench = Bench(self, without)
            case.check(bench)
        except NotApplicable as reason:
            return Verdict(case, "not applicable", str(reason))
        except Mismatch as mismatch:
            return Verdict(case, "failed", _teach(case, mismatch, bench.played if bench else None), mismatch)
        except (pytest.fail.Exception, NotImplementedError, ConfigError) as said:  # the contract is not whole yet
            return Verdict(case, "failed", f"{case.id}: {_next(said)}")
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            text = f"{case.id}: {case.what}\n  the contract could not play it: {trace}  {_NEVER_SAID}"
            return Verdict(case, "failed", text, error)
        return Verdict(case, "passed")

    @pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
    def test_case(self, case: Case) -> None:
        """One case of the list."""
        verdict = self.run(case)
        _verdicts(type(self))[case.id] = verdict
        if verdict.outcome == "not applicable":
            pytest.skip(f"{case.id} is not applicable: {verdict.text}")
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
        hooks = {"", *HOOKS}
        unknown = [name for name in cls.excuses if _case(name) not in known or _hook(name) not in hooks]
        return faults + [f"there is no case {name!r} to excuse" for name in unknown]


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


def _case(excused: str) -> str:
    return excused.partition("[")[0]


def _hook(excused: str) -> str:
    """The one hook that is excused, "" where all of them are."""
    return excused.partition("[")[2].removesuffix("]")


def _next(said: BaseException) -> str:
    """What a contract that is not whole yet ends with: the one next thing to write."""
    if isinstance(said, NotImplementedError):
        return f"next: write {traceback.extract_tb(said.__traceback__)[-1].name}() in the contract: {said}"
    return str(said)


def _of(cls: type[ProviderContract], name: str) -> object:
    found = getattr(cls, name)
    return getattr(found, "__func__", found)


def _teach(case: Case, mismatch: Mismatch, played: Call | None) -> str:
    order = f"  the order: {played}\n" if played else ""
    return (
        f"{case.id}: {case.what}\n{order}"
        f"  expected:  {mismatch.expected}\n"
        f"  what came: {mismatch.came}\n"
        f"  why:       {case.why}\n"
        f"  read:      {page(case.page)}"
    )
