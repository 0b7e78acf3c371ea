"""How a contract is run: excuses that are needed, a sum that hides nothing, messages that teach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.testing.broken import (
    BROKEN,
    AcceptedIsRefunded,
    AllRefused,
    AsksFirst,
    Dated,
    DatedInAnotherZone,
    InCents,
    KeyInAddress,
    LooksBeforeClosing,
    NeverDone,
    OnePurpose,
    PaidAbsorbs,
    PartOfAnswers,
    PastedPage,
    Polite,
    RefundInCents,
    SignedPage,
    partly_signed_answer,
    unchecked,
)
from tests.testing.flows.test_later import TestLater as LaterContract
from tests.testing.tea import Tea, TeaContract, digest, joined

from payhub_core import (
    Callback,
    InvalidOrder,
    Money,
    Order,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    RefundStatus,
    Request,
    hookimpl,
    testing,
)
from payhub_core.kit import FORM, Fields, Secret, grammar, write_form
from payhub_core.pages import page
from payhub_core.testing import NotApplicable, ProviderContract, Sale
from payhub_core.testing.bench import Bench
from payhub_core.testing.cases import CASES
from payhub_core.testing.contract import summary

ROOT = Path(__file__).parents[2]
NAMED = {case.id: case for case in CASES}


class Excused(TeaContract):
    provider = Polite
    excuses = {"notify.acknowledged": "the gateway takes any text with HTTP 200"}


def test_a_case_that_fails_may_be_excused() -> None:
    """With a reason, for those who read the run."""
    verdict = Excused().run(NAMED["notify.acknowledged"])
    assert (verdict.outcome, verdict.text) == ("excused", "the gateway takes any text with HTTP 200")


def test_the_orders_of_a_contract_have_what_the_provider_needs() -> None:
    """Those that a case has changed, too; every case passes that passed without."""

    class Needing(TeaContract):
        class provider(Tea):  # noqa: N801
            info: ClassVar[ProviderInfo] = replace(Tea.info, extra_needed=frozenset({"email", "client_ip"}))

    needed = {"client_ip": "192.0.2.1", "email": "payer@shop.example"}
    assert Needing().order().extra == needed
    assert Needing().order(extra={"device": "pc", "email": "a@b"}).extra == {**needed, "device": "pc", "email": "a@b"}
    assert {verdict.text for verdict in map(Needing().run, CASES) if verdict.outcome == "failed"} == set()


def test_an_excuse_whose_case_holds_after_all_fails() -> None:
    """Or excuses would outlive their reasons."""

    class OutOfDate(Excused):
        provider = Tea

    verdict = OutOfDate().run(NAMED["notify.acknowledged"])
    assert verdict.outcome == "failed"
    assert "out of date: 'the gateway takes any text with HTTP 200'" in verdict.text


class OneHook(TeaContract):
    provider = KeyInAddress
    excuses = {"secret.address[query]": "the protocol has a query carry the key"}


def test_one_hook_may_be_excused_and_the_others_are_still_tried() -> None:
    """A case about every flow is left out for the one that cannot keep it."""

    class CreateToo(KeyInAddress):
        def action(self, url: str) -> Any:
            return Redirect(url=f"{url}?key={self.key[0].text}") if url else None

    class Unexcused(OneHook):
        provider = CreateToo

    verdict = OneHook().run(NAMED["secret.address"])
    assert (verdict.outcome, verdict.text) == ("excused", "the protocol has a query carry the key")
    rest = Unexcused().run(NAMED["secret.address"])
    assert rest.outcome == "failed"
    assert "no secret in what the payer's browser is given" in rest.text


def test_an_excuse_for_a_hook_that_needs_none_fails() -> None:
    """Each of them is needed, or it would hide the next mistake."""

    class TwoHooks(OneHook):
        excuses = {**OneHook.excuses, "secret.address[refund]": "a refund as well"}

    class Whole(OneHook):
        provider = Tea

    for contract, reason in ((TwoHooks, "a refund as well"), (Whole, "carry the key")):
        verdict = contract().run(NAMED["secret.address"])
        assert verdict.outcome == "failed"
        assert "out of date" in verdict.text
        assert reason in verdict.text


def test_what_an_author_may_not_replace_is_found() -> None:
    """And so is an excuse for a case that is not there."""

    class Overridden(TeaContract):
        excuses = {"notify.genuin": "a slip", "secret.address[ask]": "no hook"}

        def test_case(self, case: Any) -> None:
            """Runs nothing."""

    assert Overridden.altered() == [
        "test_case was replaced: no case is run by it",
        "there is no case 'notify.genuin' to excuse",
        "there is no case 'secret.address[ask]' to excuse",
    ]
    assert TeaContract.altered() == []


def test_the_sum_counts_every_case() -> None:
    """Run, excused, failed or not applicable, and for what reason."""
    verdicts = [Excused().run(NAMED[name]) for name in ("notify.acknowledged", "notify.genuine")]
    assert summary(verdicts) == f"ran 2 of {len(CASES)}, excused 1, failed 0"


def test_an_error_of_the_contracts_own_is_shown_as_one() -> None:
    """With its traceback: the author has to find it."""

    class Slip(TeaContract):
        def notify(self, sale: Any) -> Any:
            return {}["slip"]

    verdict = Slip().run(NAMED["notify.genuine"])
    assert verdict.outcome == "failed"
    assert "the contract could not play it" in verdict.text
    assert "KeyError: 'slip'" in verdict.text


class Narrow(TeaContract):
    """A gateway whose table has too few words."""

    def answer(self, request: Request, sale: Any) -> Any:
        if sale.hook == "refund":
            {RefundStatus.PENDING: "open"}[sale.refund_status]
        if sale.hook == "close":
            raise NotApplicable("nothing is ever closed")
        return super().answer(request, sale)


@pytest.mark.parametrize("name", ["fault.read", "secret.logs", "values.json", "refund.accepted", "close.accepted"])
def test_a_contract_without_a_word_for_the_usual_fails(name: str) -> None:
    """One word that lacks would take whole cases with it, in a run that is green."""
    verdict = Narrow().run(NAMED[name])
    assert verdict.outcome == "failed"
    lacking = "no refund_status 'refunded'" if name != "close.accepted" else "nothing is ever closed"
    assert lacking in verdict.text
    assert "Every gateway has to say this" in verdict.text


@pytest.mark.parametrize("method", ["order", "sale"])
def test_only_what_the_gateway_says_may_be_not_applicable(method: str) -> None:
    """Without an order there is no case."""

    def refuse(self: Any, *_: Any, **__: Any) -> Any:
        raise NotApplicable("no such order")

    refuse.__name__ = method
    verdict = type("Of", (TeaContract,), {method: refuse})().run(NAMED["money.asked"])
    assert verdict.outcome == "failed"
    assert verdict.text == (
        f"money.asked: {method}(): no such order. Only answer(), notify(), refund_notify() and returned() may say so"
    )


@pytest.mark.parametrize("name", ["money.queried", "money.notified"])
def test_a_currency_that_is_declared_has_a_word(name: str) -> None:
    """Or nothing would be tried in it."""

    class OneCurrency(TeaContract):
        def message(self, sale: Any) -> Any:
            return {**super().message(sale), "currency": {"CNY": "CNY"}[sale.amount.currency]}

    verdict = OneCurrency().run(NAMED[name])
    assert verdict.outcome == "failed"
    assert "JPY" in verdict.text


@pytest.mark.parametrize(
    ("no", "case"),
    [
        ("missing", "query.missing"),
        ("refused", "create.refused"),
        ("duplicate", "create.duplicate"),
        ("account", "create.account_refused"),
    ],
)
def test_what_a_case_asks_for_in_vain_is_not_applicable(no: str, case: str) -> None:
    """It is counted, with the word that the gateway lacks."""

    class Without(TeaContract):
        def answer(self, request: Request, sale: Any) -> Any:
            words = {word: word for word in ("", "missing", "refused", "duplicate", "account") if word != no}
            return super().answer(request, sale.but(no=words[sale.no]))

    verdict = Without().run(NAMED[case])
    assert (verdict.outcome, verdict.text) == ("not applicable", f"the gateway has no answer {no!r}")


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("notify.sequence", PaidAbsorbs),
        ("notify.own_words", OnePurpose),
        ("return.own_words", SignedPage),
        ("create.account_refused", AllRefused),
    ],
)
def test_one_word_that_lacks_takes_no_other_with_it(name: str, provider: type[Any]) -> None:
    """What the rest of the case finds is still found."""

    class Without(TeaContract):
        def answer(self, request: Request, sale: Any) -> Any:
            if sale.no == "account":
                raise NotApplicable("every account is taken")
            if sale.hook == "query" and sale.status is PaymentStatus.PENDING:
                raise NotApplicable("only what is paid is there")
            if sale.hook == "parse_callback" and sale.status is PaymentStatus.FAILED:
                raise NotApplicable("nothing fails")
            return super().answer(request, sale)

    (gateway,) = [broken.gateway for broken in BROKEN if (broken.case, broken.provider) == (name, provider)]
    contract = type("Of", (Without,), {"provider": provider, **gateway})
    assert "expected:" in contract().run(NAMED[name]).text


def test_refunds_that_are_carried_out_later_are_so_by_the_contract() -> None:
    """And a provider that calls them done is found."""

    class Later(TeaContract):
        provider = NeverDone
        refund_status = RefundStatus.PENDING

    class Early(Later):
        provider = AcceptedIsRefunded

    class Failing(Later):
        refund_status = RefundStatus.FAILED

    assert Later().run(NAMED["refund.accepted"]).outcome == "passed"
    assert "expected:  a refund that is pending" in Early().run(NAMED["refund.accepted"]).text
    assert "whose refund_status is REFUNDED or PENDING" in Failing().run(NAMED["refund.accepted"]).text


def test_a_gateway_that_tells_of_refunds_says_that_one_is_done() -> None:
    """Or nothing of it would be tried; that one is under way is seldom told."""

    class Lacking(LaterContract):
        lacking: ClassVar[RefundStatus] = RefundStatus.REFUNDED

        def refund_notify(self, sale: Sale) -> Callback:
            {status: "" for status in RefundStatus if status is not self.lacking}[sale.refund_status]
            return super().refund_notify(sale)

    class Usual(Lacking):
        lacking = RefundStatus.PENDING

        def refund_notify(self, sale: Sale) -> Callback:
            if not sale.refund_reference:
                raise NotApplicable("no message about a refund of the back office")
            return super().refund_notify(sale)

    told = [case for case in CASES if case.id.startswith("refund_notify.")]
    assert {Usual().run(case).outcome for case in told} == {"passed"}
    verdicts = [Lacking().run(case) for case in told]
    assert {verdict.outcome for verdict in verdicts} == {"failed"}
    assert "no refund_status 'refunded'" in verdicts[0].text
    assert "sends no message about a refund, leave it out" in verdicts[0].text


def test_an_answer_knows_which_hook_asks() -> None:
    """The same address may be asked by several of them; a message of the gateway's own is asked for by none."""
    asked = set()

    class Asked(TeaContract):
        def answer(self, request: Request, sale: Any) -> Any:
            asked.add(sale.hook)
            return super().answer(request, sale)

        def notify(self, sale: Any) -> Any:
            assert sale.hook == ""
            return super().notify(sale)

    assert Asked().run(NAMED["values.json"]).outcome == "passed"
    assert asked == {"create_payment", "query", "refund", "close"}


def test_an_assertion_of_the_contracts_own_says_how_to_leave_a_case_out() -> None:
    """It may stand where the gateway has no such message."""

    class Unsaid(TeaContract):
        def notify(self, sale: Any) -> Any:
            assert sale.paid is None
            return super().notify(sale)

    text = Unsaid().run(NAMED["notify.genuine"]).text
    assert "AssertionError" in text
    assert 'raise NotApplicable("...") there, from payhub_core.testing.' in text


class DatedContract(TeaContract):
    """A gateway whose order numbers begin with their time."""

    provider = type("Dated", (Tea,), {"info": replace(Tea.info, reference="[0-9]{14}[A-Z0-9]*")})


def test_a_gateway_that_takes_no_usual_order_number_asks_for_one() -> None:
    """In one sentence."""
    verdict = DatedContract().run(NAMED["create.accepted"])
    assert verdict.text == (
        "create.accepted: next: write order() in the contract: info.reference takes none of A1001, 1001, a1001, "
        '00001001, 11; return super().order(**{"reference": "...", **changes}) with one that it takes'
    )


def test_an_order_number_that_is_given_is_all_that_is_needed() -> None:
    """By the way that the sentence names."""

    class Given(DatedContract):
        def order(self, **changes: Any) -> Any:
            return super().order(**{"reference": "20261126092044A1", **changes})

    for name in ("create.accepted", "create.key"):
        assert Given().run(NAMED[name]).outcome == "passed"


def test_all_messages_of_a_case_are_of_one_moment() -> None:
    """Or a second that passes in between would make two of one."""
    bench = Bench(TeaContract())
    assert bench.paid().at is bench.sale().at


def test_a_notify_that_is_never_the_same_is_refused() -> None:
    """Messages are told apart by their bytes."""

    class Nonces(TeaContract):
        calls = 0

        def notify(self, sale: Any) -> Any:
            type(self).calls += 1
            return super().notify(sale.but(attach=str(self.calls)))

    assert "the same bytes for the same sale" in Nonces().run(NAMED["notify.genuine"]).text


def test_a_request_that_the_gateway_would_not_take_is_the_providers_mistake() -> None:
    """The contract asserts it, and the message says what was expected."""

    class Unsigned(Tea):
        def headers(self, content: bytes) -> dict[str, str]:
            return {"X-Tea-Signature": "0"}

    class OfUnsigned(TeaContract):
        provider = Unsigned

    verdict = OfUnsigned().run(NAMED["create.accepted"])
    assert "expected:  a request that the contract's answer() takes" in verdict.text
    assert "(tea.py:" in verdict.text
    assert "a request that this account signed" in verdict.text


def test_what_is_not_written_yet_is_named_one_by_one() -> None:
    """In the sequence in which an author writes, whichever case needs it first."""

    class Whole(ProviderContract):
        pass

    named = []
    for name in ("provider", "settings", "other", "acknowledged", "answer", "asked", "notify"):
        verdicts = (Whole().run(case) for case in CASES)
        text = next(verdict.text for verdict in verdicts if verdict.outcome == "failed")
        assert text.count("next: write") == 1, text
        assert "Traceback" not in text
        named.append(text.partition("next: write ")[2].split()[0].rstrip("()"))
        setattr(Whole, name, TeaContract.__dict__[name])
        if name == "answer":
            Whole.message, Whole.key = TeaContract.message, TeaContract.key  # type: ignore[attr-defined]
    Whole.tolerance = TeaContract.tolerance
    assert named == ["provider", "settings", "other", "acknowledged", "answer", "asked", "notify"]


def test_a_key_that_two_merchants_share_is_a_slip_of_the_contract() -> None:
    """Every message of the one would be the other's."""

    class Shared(TeaContract):
        other = {**TeaContract.other, "key": TeaContract.settings["key"]}

    text = Shared().run(NAMED["notify.genuine"]).text
    assert "other: expected another 'key' than settings has, it is the same. Two merchants share no key" in text
    assert TeaContract.settings["key"] not in text


class Bare(TeaContract):
    """A gateway whose requests name no currency, and whose numbers are words."""

    gateway_ids = ("pay_Aa1", "pay_Bb2")
    refund_references = ("8f14e45f-ceea-467f", "c9f0f895-fb98-4b91")

    def asked(self, request: Request) -> Any:
        found = TeaContract.asked(self, request)
        return (found[0], found[1].minor) if found else None


@pytest.mark.parametrize("name", ["create.asks", "money.asked", "money.largest", "refund.asks", "refund.key"])
def test_a_request_may_name_its_sum_in_minor_units_alone(name: str) -> None:
    """Refunds of many gateways name no currency: it is the order's."""
    assert Bare().run(NAMED[name]).outcome == "passed"


@pytest.mark.parametrize(("name", "provider"), [("create.asks", InCents), ("refund.asks", RefundInCents)])
def test_a_wrong_sum_in_minor_units_is_found(name: str, provider: type[Any]) -> None:
    """As with a currency."""
    contract = type("Of", (Bare,), {"provider": provider})
    assert "expected:" in contract().run(NAMED[name]).text


def test_a_request_that_names_no_sum_asks_for_all_of_it() -> None:
    """Such a refund is no refund of a part."""

    class Sumless(TeaContract):
        def asked(self, request: Request) -> Any:
            found = TeaContract.asked(self, request)
            return (found[0], None) if found else None

    assert Sumless().run(NAMED["refund.key"]).outcome == "passed"
    assert "expected:  one request for 25.00 CNY" in Sumless().run(NAMED["refund.asks"]).text


@pytest.mark.parametrize("name", ["notify.two_payments", "query.number", "query.agrees", "fault.other_order"])
def test_the_gateways_numbers_are_of_the_shape_that_the_contract_says(name: str) -> None:
    """A provider that reads nothing else passes."""

    class Words(Tea):
        def payment(self, fields: Any) -> Any:
            fields.read("id", grammar("pay_[A-Za-z0-9]+", "pay_ and letters"))
            return Tea.payment(self, fields)

    contract = type("OfWords", (Bare,), {"provider": Words})
    assert contract().run(NAMED[name]).outcome == "passed"


def test_order_numbers_that_are_numbers_stay_within_their_range() -> None:
    """The largest is tried, and none above it."""
    for largest in (2**31 - 1, 40):

        class Counted(Tea):
            info = replace(Tea.info, largest_reference=largest)

        contract = type("OfCounted", (TeaContract,), {"provider": Counted})()
        assert contract.order().reference in {"1001", "11"}
        for name in ("claims.reference", "create.key"):
            assert contract.run(NAMED[name]).outcome == "passed"

    class Cut(Tea):
        info = replace(Tea.info, largest_reference=2**31 - 1)

        def body(self, order: Any) -> Any:
            return {**super().body(order), "order": order.reference[:9]}

    cut = type("OfCut", (TeaContract,), {"provider": Cut})().run(NAMED["claims.reference"])
    assert "expected:  3 keys for 3 orders" in cut.text


def test_nothing_in_place_of_an_answer_is_the_contracts_slip() -> None:
    """It is not laid to the provider."""

    class Silent(TeaContract):
        def answer(self, request: Any, sale: Any) -> Any:
            """Says nothing."""

    assert "answer() returned NoneType, expected a Response" in Silent().run(NAMED["create.accepted"]).text


def test_a_provider_without_a_hook_is_told_which() -> None:
    """In one line, since it is what comes next."""

    class NoQuery(TeaContract):
        provider = type("NoQuery", (), {name: getattr(Tea, name) for name in ("info", "create_payment")})

    text = NoQuery().run(NAMED["create.accepted"]).text
    assert "Traceback" not in text
    assert "parse_callback" in text


def test_a_refund_may_carry_its_number_with_more_around_it() -> None:
    """The same again for the same is a key; the case about keys says that it is another."""

    class Around(Tea):
        @hookimpl
        def refund(self, reference: str, amount: Money, refund_reference: str) -> Any:
            asked = f"{reference}.{refund_reference}"
            made = yield from Tea.refund(self, reference, amount, asked)
            return made.model_copy(update={"refund_reference": refund_reference})

    told = type("Of", (TeaContract,), {"provider": Around})().run(NAMED["refund.again"])
    assert (told.outcome, told.text) == ("not applicable", "a refund carries its own number")


def test_a_gateway_may_sign_its_answers_in_part() -> None:
    """What is left is proved by TLS."""
    contract = type("Of", (TeaContract,), {"provider": PartOfAnswers, "answer": partly_signed_answer})()
    assert contract.run(NAMED["replies.signed"]).outcome == "passed"


def test_a_gateway_may_sign_a_message_twice() -> None:
    """One that is checked is enough, whichever the provider reads."""

    class OfTwice(TeaContract):
        def notify(self, sale: Any) -> Any:
            callback = self.told(sale)
            return replace(callback, headers={**callback.headers, "X-Copy": callback.header("X-Tea-Signature")})

    assert OfTwice().run(NAMED["notify.unsigned"]).outcome == "passed"


class NotifyInHeader(Tea):
    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "notify_url": ""}

    @hookimpl
    def create_payment(self, order: Order) -> Any:
        request = self.post("/payments", self.body(order))
        request.headers["X-Override-Notification"] = order.notify_url
        return self.payment(self.reply((yield request)))


@pytest.mark.parametrize("name", ["create.notify_url", "create.addresses"])
def test_an_address_may_be_in_a_header(name: str) -> None:
    """Some gateways want it there."""
    contract = type("Of", (TeaContract,), {"provider": NotifyInHeader})()
    assert contract.run(NAMED[name]).outcome == "passed"


def test_a_request_that_the_contract_cannot_read_is_not_one_whose_signature_it_checked() -> None:
    """It stumbles over what was altered: the provider may sign none of it."""

    class Stumbling(TeaContract):
        def answer(self, request: Any, sale: Any) -> Any:
            body = json.loads(request.content or b"{}")
            if body and "order" in body and body["order"] != sale.reference:
                raise KeyError("order")
            return unchecked(self, request, sale)

    class InvalidSignature(Exception):
        """As a library raises it."""

    class Verifying(TeaContract):
        def answer(self, request: Any, sale: Any) -> Any:
            try:
                return super().answer(request, sale)
            except AssertionError:
                raise InvalidSignature from None

    assert Verifying().run(NAMED["create.signed"]).outcome == "passed"
    told = Stumbling().run(NAMED["create.signed"])
    assert told.outcome == "failed"
    assert "check the signature before anything is read" in told.text
    assert "KeyError (test_contract.py:" in told.text


def test_a_key_that_a_request_carries_does_not_hide_another_that_signs() -> None:
    """Many gateways want both; a key for notifies alone is none of a create's."""

    class TwoKeys(Tea):
        token: Secret

        def headers(self, content: bytes) -> dict[str, str]:
            return {**super().headers(content), "Authorization": f"Bearer {self.token.text}"}

    class NotifiesAlone(TwoKeys):
        def headers(self, content: bytes) -> dict[str, str]:
            return {"Authorization": f"Bearer {self.token.text}"}

    for provider, outcome in ((TwoKeys, "failed"), (NotifiesAlone, "not applicable")):

        class Contract(TeaContract):
            settings: ClassVar[dict[str, Any]] = {**TeaContract.settings, "token": "a-token-of-the-shop"}
            other: ClassVar[dict[str, Any]] = {**TeaContract.other, "token": "a-token-of-another"}
            answer = unchecked

        Contract.provider = provider
        assert Contract().run(NAMED["create.signed"]).outcome == outcome


def test_a_close_may_look_first_whether_there_is_something_to_close() -> None:
    """The order is open until then, and what the gateway does not close it says no to then."""
    contract = type("Of", (TeaContract,), {"provider": LooksBeforeClosing})()
    bench = Bench(contract)
    assert [request.method for request in bench.close().requests] == ["GET", "POST"]
    assert {verdict.text for verdict in map(contract.run, CASES) if verdict.outcome == "failed"} == set()


def test_a_look_up_may_name_another_time_than_the_orders() -> None:
    """Such as the day from which is searched; and a contract asserts the time itself by its sale."""

    class Since(Dated):
        def sent(self, at: Any) -> str:
            return str(at.date())

    class Asserting(TeaContract):
        provider = Dated

        def answer(self, request: Request, sale: Sale) -> Any:
            if begun := request.url.params.get("begun"):
                assert begun == f"{sale.created_at:%Y%m%d%H%M%S}"
            return super().answer(request, sale)

    for contract in (type("Of", (TeaContract,), {"provider": Since})(), Asserting()):
        assert {verdict.text for verdict in map(contract.run, CASES) if verdict.outcome == "failed"} == set()
    told = type("Of", (Asserting,), {"provider": DatedInAnotherZone})().run(NAMED["query.paid"])
    assert "expected:  a request that the contract's answer() takes" in told.text


class ByCapture(AsksFirst):
    """Pays back by a number that only a look-up tells."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Any:
        known = yield from self.known(reference)
        sum_ = {"amount": self.written(amount), "currency": amount.currency}
        body = {"capture": f"C{known.gateway_id}", "refund": refund_reference, **sum_}
        return self.paid_back(self.reply((yield self.post("/refunds", body))))


def test_a_refund_may_name_what_a_look_up_has_told() -> None:
    """Such as the number of a capture, which holds no number of the order."""
    assert type("Of", (TeaContract,), {"provider": ByCapture})().run(NAMED["refund.order"]).outcome == "passed"


def test_a_look_up_may_name_no_order_before_a_refund() -> None:
    """As where it is asked for by the order's number, over TLS, and says what became of it and no more."""

    class Unnamed(AsksFirst):
        def known(self, reference: str, *, harmless: bool = True) -> Any:
            url = f"{self.base_url}/payments/{reference}"
            request = Request("GET", url, headers=self.headers(b""), harmless=harmless)
            fields = self.reply((yield request), missing=True)
            return self.payment(Fields(fields, order=reference))

    class Contract(TeaContract):
        provider = Unnamed

        def message(self, sale: Sale) -> dict[str, str]:
            told = super().message(sale)
            if sale.hook == "refund":
                del told["order"], told["id"]
            return told

        def answer(self, request: Request, sale: Sale) -> Any:
            return super().answer(request, sale if request.method == "GET" else sale.but(hook=""))

    assert Contract().run(NAMED["refund.looked_up"]).outcome == "not applicable"


@pytest.mark.parametrize(("taken", "outcome"), [("", "passed"), ("&=%", "failed")])
def test_a_text_may_be_refused_before_anything_is_sent_for_letters_that_the_gateway_lacks(
    taken: str, outcome: str
) -> None:
    """Some take ASCII alone; what breaks a form is no such letter."""

    class Plain(Tea):
        @hookimpl
        def create_payment(self, order: Order) -> Any:
            if not order.description.isascii() or {*taken} & {*order.description}:
                raise InvalidOrder("expected a description in ASCII")
            return (yield from Tea.create_payment(self, order))

    assert type("Of", (TeaContract,), {"provider": Plain})().run(NAMED["create.text"]).outcome == outcome


def test_a_gateways_clock_may_show_whole_minutes() -> None:
    """A minute that is right is no hour that is wrong."""

    class Minutes(TeaContract):
        off: ClassVar[timedelta] = timedelta(0)

        def notify(self, sale: Sale) -> Callback:
            return super().notify(sale.but(at=(sale.at + self.off).replace(second=0)))

    class Elsewhere(Minutes):
        off = timedelta(minutes=4)

    assert Minutes().run(NAMED["notify.time"]).outcome == "passed"
    assert Elsewhere().run(NAMED["notify.time"]).outcome == "failed"


def test_a_gateway_may_sign_number_and_sum_alone() -> None:
    """What else was altered is the payer's page, and no money."""

    class Signed(TeaContract):
        def answer(self, request: Any, sale: Any) -> Any:
            body = json.loads(request.content or b"{}")
            due = str(sale.amount.amount)
            told = (body.get("order", sale.reference), body.get("amount", due))
            assert told == (sale.reference, due), "what this account signed"
            return unchecked(self, request, sale)

    assert Signed().run(NAMED["create.signed"]).outcome == "passed"
    sum_unsigned = next(broken for broken in BROKEN if broken.provider.__name__ == "SumUnsigned")
    told = sum_unsigned.contract.run(NAMED["create.signed"]).text
    assert "none, where it is altered in body text, body notify_url, body return_url, body amount" in told


def test_a_number_that_nobody_signed_may_be_left_out() -> None:
    """Whoever has a genuine message could write another payment's number into it."""

    class Nameless(Tea):
        def payment(self, fields: Fields) -> Payment:
            return super().payment(fields).model_copy(update={"gateway_id": None})

    class NumberUnsigned(Nameless):
        def check(self, purpose: str, fields: Fields, given: str | None) -> None:
            super().check(purpose, Fields({name: fields[name] for name in fields if name != "id"}), given)

    class Unsigned(TeaContract):
        provider = NumberUnsigned

        def notify(self, sale: Sale) -> Callback:
            fields = {**self.message(sale), "at": str(int(sale.at.timestamp()))}
            signed = joined({name: fields[name] for name in fields if name != "id"})
            headers = {"Content-Type": FORM, "X-Tea-Signature": digest(self.key(sale), b"notify", signed).hex()}
            return Callback("POST", headers, b"", write_form(fields))

    case = NAMED["notify.two_payments"]
    assert Unsigned().run(case).text == "no signature covers the gateway's number"
    assert type("Of", (TeaContract,), {"provider": Nameless})().run(case).outcome == "failed"


@pytest.mark.parametrize("case", [case for case in CASES if case.id.startswith("refund.")])
def test_a_refund_without_a_number_that_asks_first_keeps_all_but_the_key(case: Any) -> None:
    """So a contract has one case to excuse."""
    verdict = type("Of", (TeaContract,), {"provider": AsksFirst})().run(case)
    assert (verdict.outcome == "failed") is (case.id == "refund.key"), verdict.text


# Under pytest

FILE = """
from tests.testing.broken import {names}
from tests.testing.tea import TeaContract

class TestTea(TeaContract):
    {body}
"""


def pytest_of(tmp_path: Path, body: str, *options: str, names: str = "Polite") -> str:
    (tmp_path / "test_tea.py").write_text(FILE.format(body=body, names=names), "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rsx", "-p", "no:cacheprovider", str(tmp_path), *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # the kit needs none, and they take half a second
        timeout=120,
        check=False,
    )
    return run.stdout


def test_a_run_says_what_it_covered(tmp_path: Path) -> None:
    """Green or not, and the excuse is there to be read."""
    told = pytest_of(tmp_path, "provider = Polite; excuses = {'notify.acknowledged': 'any text will do'}")
    assert f"TestTea: ran {len(CASES) - 38} of {len(CASES)}, excused 1, failed 0" in told
    assert "excused: any text will do" in told
    assert ": refund.looked_up is not applicable: refund looks nothing up" in told
    assert told.splitlines()[-1].startswith(f"{len(CASES) - 38} passed, 38 skipped, 1 xfailed")


def test_a_case_that_was_left_out_is_run_by_the_last_test(tmp_path: Path) -> None:
    """Whoever deselects the case that fails still sees it fail."""
    told = pytest_of(tmp_path, "provider = Polite", "-k", "not acknowledged")
    assert "notify.acknowledged: the reply is the acknowledgement" in told
    assert "1 failed" in told.splitlines()[-1]


def test_a_contract_that_runs_nothing_fails(tmp_path: Path) -> None:
    """A green run never hides that one test was collected."""
    told = pytest_of(tmp_path, "test_case = None")
    assert "test_case was replaced" in told
    assert "1 failed" in told.splitlines()[-1]


def test_a_failure_is_short_and_teaches(tmp_path: Path) -> None:
    """No traceback through the kit."""
    told = pytest_of(tmp_path, "provider = NoNumber", "-k", "two_payments", names="NoNumber")
    assert "expected:  the gateway's number 70010001" in told
    assert f"read:      {page('hooks.md')}#" in told
    assert "Traceback" not in told


def test_importing_the_kit_needs_pytest_alone() -> None:
    """An author's environment has no more."""
    program = (
        "import sys\n"
        "for name in ('cryptography', 'vcr', 'yaml', 'click', 'rich', 'sqlalchemy', 'hypothesis', 'trustme'):\n"
        "    sys.modules[name] = None\n"
        "import payhub_core.testing, payhub_core.testing.cases\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("broken", [PastedPage, Polite])
def test_a_contract_is_an_ordinary_class(broken: type[Any]) -> None:
    """It is made without pytest, and a case is called as a function."""

    class Of(ProviderContract):
        provider = broken
        settings = TeaContract.settings

    assert Of().order().reference == "A1001"


def test_the_public_names_are_these() -> None:
    """Adding one is a promise."""
    assert testing.__all__ == [
        "FAULTS",
        "FakeGateway",
        "NotApplicable",
        "Played",
        "ProviderContract",
        "Sale",
        "cassette",
        "load_callback",
        "play",
    ]
    assert all(hasattr(testing, name) for name in testing.__all__)


def test_a_tolerance_that_is_no_timedelta_is_named() -> None:
    """Seconds would fail deep inside a case."""

    class Seconds(TeaContract):
        tolerance: ClassVar[Any] = 300.0

    told = Seconds().run(NAMED["notify.late"])
    assert (told.outcome, "tolerance: expected a timedelta, as in timedelta(minutes=5), not float" in told.text) == (
        "failed",
        True,
    )


@pytest.mark.parametrize("name", ["create.refused", "create.duplicate", "create.account_refused"])
def test_a_create_that_fails_is_no_create_that_sends_nothing(name: str) -> None:
    """Not applicable would hide it."""

    class Fails(Tea):
        @hookimpl
        def create_payment(self, order: Order) -> Payment:
            raise InvalidOrder("this order is not fit")

    class OfFails(TeaContract):
        provider = Fails

    told = OfFails().run(NAMED[name])
    assert told.outcome == "failed"
    assert "this order is not fit" in told.text


def test_a_further_word_may_be_of_one_message_alone() -> None:
    """The usual word is still tried, and so are the others."""

    class Elsewhere(TeaContract):
        words: ClassVar[dict[str, list[str]]] = {PaymentStatus.PAID: ["finished"], "duplicate": ["in_progress"]}

        def message(self, sale: Any) -> Any:
            if sale.word == "finished":
                raise NotApplicable("another gateway's word")
            return super().message(sale)

    for name in ("notify.genuine", "query.paid", "create.duplicate"):
        assert Elsewhere().run(NAMED[name]).outcome == "passed"
    (short,) = [broken for broken in BROKEN if broken.provider.__name__ == "OneWordForTaken"]
    text = type("Of", (Elsewhere,), {"provider": short.provider})().run(NAMED["create.duplicate"]).text
    assert "expected:  OutcomeUnknown, or the payment that is there, where the gateway says 'in_progress'" in text


def test_a_failed_case_shows_the_order_and_no_secret() -> None:
    """What was sent or asked about, as far as the gateway decides by it."""
    text = type("Of", (TeaContract,), {"provider": InCents})().run(NAMED["create.asks"]).text
    assert "\n  the order: create_payment of 'A1001', 100.00 CNY, method card, description 'Tea'\n" in text
    assert TeaContract.settings["key"] not in text
    text = type("Of", (TeaContract,), {"provider": RefundInCents})().run(NAMED["refund.asks"]).text
    assert "refund 'R1001' of 100.00 CNY" in text
