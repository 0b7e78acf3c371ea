"""What a provider declares is enforced: nothing else is sent, and the error names what could be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from payhub_core import (
    Callback,
    ConfigError,
    Flow,
    InvalidOrder,
    Money,
    NotFound,
    Notification,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    ProviderInfo,
    Refund,
    RefundStatus,
    Reply,
    Request,
    WrongOrder,
    hookimpl,
)
from payhub_core.declaration import check_order, check_reference, check_refund_reference


class Declared:
    """A provider that would send anything at all."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="declared",
        currencies=frozenset({"CNY", "HKD"}),
        identity=(),
        methods=frozenset({PaymentMethod.CARD, PaymentMethod.WECHAT_OFFICIAL_ACCOUNT}),
        raw_methods="x-[a-z]+",
        method_needed=True,
        payer_needed=frozenset({PaymentMethod.WECHAT_OFFICIAL_ACCOUNT}),
        reference="[A-Z0-9]+",
        reference_length="longest",
        largest_amount=10_000,
        extra_fields="[A-Za-z_]+",
        reserved_fields=frozenset({"amount", "ourAmount"}),
    )
    timeout = 5.0
    longest = 6

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        yield Request("POST", "https://gateway.example")
        return Payment(reference=order.reference, status=PaymentStatus.PENDING)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        return Notification(callback.kind, None)

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        yield Request("GET", f"https://gateway.example/{reference}")
        raise NotFound("none")

    @hookimpl
    def refund(self, reference: str, refund_reference: str) -> Flow[Refund]:
        yield Request("POST", "https://gateway.example/refund")
        return Refund(reference=reference, refund_reference=refund_reference, status=RefundStatus.REFUNDED)


@pytest.fixture
def declared(open_hub: Any, gateway: Any, platform: Any) -> Any:
    answers = gateway(platform.reply({}))
    hub = open_hub(answers, accounts={"shop": Declared()})
    hub.requests = answers.requests
    return hub


@pytest.fixture
def fitting(make_order: Any) -> Any:
    def make(**changes: Any) -> Order:
        fits = {"reference": "A1001", "method": PaymentMethod.CARD, "amount": Money.of("100.00", "CNY"), **changes}
        return make_order(**fits)

    return make


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"amount": Money.of("100.00", "USD")}, "expected an amount in CNY, HKD, not in USD"),
        ({"amount": Money(10_001, "CNY")}, "1 to 10000 minor units"),
        ({"method": PaymentMethod.ALIPAY_H5}, "expected one of card, wechat_official_account"),
        ({"method": "card5"}, "expected one of card, wechat_official_account"),
        ({"method": None}, "expected a method"),
        ({"method": PaymentMethod.WECHAT_OFFICIAL_ACCOUNT}, "expected a payer"),
        ({"reference": "a1001"}, r"matching \[A-Z0-9\]\+"),
        ({"reference": "A100101"}, "1 to 6 characters"),
        ({"extra": {"amount": "1"}}, "'amount' is no field for an order to set"),
        ({"extra": {"Amount": "1"}}, "'Amount' is no field for an order to set"),
        ({"extra": {"ourAmount": "1"}}, "'ourAmount' is no field for an order to set"),
        ({"extra": {"ouramount": "1"}}, "'ouramount' is no field for an order to set"),
        ({"extra": {"a-b": "1"}}, "'a-b' is no field for an order to set"),
    ],
)
def test_what_is_not_declared_is_refused_and_nothing_is_sent(
    declared: Any, fitting: Any, changes: dict[str, Any], named: str
) -> None:
    """InvalidOrder, and what is supported."""
    with pytest.raises(InvalidOrder, match=named) as refused:
        declared.create_payment("shop", fitting(**changes))
    assert refused.value.account == "shop"
    assert declared.requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"amount": Money.of("100.00", "HKD")},
        {"method": "x-test"},
        {"method": PaymentMethod.WECHAT_OFFICIAL_ACCOUNT, "payer": "openid"},
        {"reference": "A10010"},
        {"extra": {"trade_type": "h5"}},
    ],
)
def test_what_is_declared_is_sent(declared: Any, fitting: Any, changes: dict[str, Any]) -> None:
    """Once."""
    assert declared.create_payment("shop", fitting(**changes)).status is PaymentStatus.PENDING
    assert len(declared.requests) == 1


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({}, "extra: expected client_ip, email, which this gateway needs of every order"),
        ({"email": "", "client_ip": "192.0.2.1"}, "extra: expected email, which"),
        ({"Email": "a@shop.example"}, "'Email' is no field for an order to set"),
        ({"email": "a@shop.example", "client_ip": "192.0.2.1"}, ""),
    ],
)
def test_an_order_without_what_its_gateway_needs_is_refused(
    declared: Any, fitting: Any, monkeypatch: pytest.MonkeyPatch, extra: dict[str, str], named: str
) -> None:
    """It names what is missing, and nothing is sent; the field need not be in the pattern too."""
    needed = replace(Declared.info, extra_needed=frozenset({"email", "client_ip"}), extra_fields="")
    monkeypatch.setattr(Declared, "info", needed)
    if named:
        with pytest.raises(InvalidOrder, match=named):
            declared.create_payment("shop", fitting(extra=extra))
    else:
        declared.create_payment("shop", fitting(extra=extra))
    assert len(declared.requests) == (0 if named else 1)


def test_a_field_that_is_the_providers_own_cannot_be_needed() -> None:
    """No order could be made."""
    with pytest.raises(ConfigError, match="extra_needed: 'amount' is among reserved_fields"):
        replace(Declared.info, extra_needed=frozenset({"amount"}), reserved_fields=frozenset({"Amount"}))


def test_the_other_hooks_are_held_to_it_too(declared: Any) -> None:
    """The reference everywhere, the money of a refund."""
    for call in (
        lambda: declared.query("shop", "a1"),
        lambda: declared.query("shop", None),
        lambda: declared.refund("shop", "a1", None, Money(1, "CNY"), "R1"),
        lambda: declared.refund("shop", "A1", None, Money(1, "USD"), "R1"),
        lambda: declared.refund("shop", "A1", None, Money(0, "CNY"), "R1"),
        lambda: declared.refund("shop", "A1", None, 100, "R1"),
        lambda: declared.refund("shop", "A1", None, Money(1, "CNY"), ""),
        lambda: declared.refund("shop", "A1", None, Money(1, "CNY"), "R\n1"),
    ):
        with pytest.raises(InvalidOrder):
            call()
    assert declared.requests == []
    assert declared.refund("shop", "A1", None, Money(1, "CNY"), "R1").amount == Money(1, "CNY")


def test_a_gateway_that_has_codes_of_its_own_alone_is_told_so(fitting: Any) -> None:
    """An order with another method, or with none where it needs one."""

    class Coded(Declared):
        info: ClassVar[ProviderInfo] = replace(
            Declared.info, methods=frozenset(), payer_needed=frozenset(), raw_methods="[0-9]+", method_needed=True
        )

    for method, told in (("card", r"method: expected {}, not 'card'"), (None, "expected a method: {}")):
        with pytest.raises(InvalidOrder) as error:
            check_order(Coded(), fitting(method=method))
        assert error.value.message == told.format("one of the gateway's own codes as text")


def test_a_provider_that_declares_no_method_takes_none(
    open_hub: Any, gateway: Any, tiny: Any, make_order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its page lets the payer choose: an order that chooses would be disappointed in silence."""
    monkeypatch.setattr(tiny, "info", ProviderInfo(name="tiny", currencies=frozenset({"CNY"}), identity=()))
    hub = open_hub(gateway(), accounts={"tiny": tiny(secret="secret-of-the-tiny-account")})
    with pytest.raises(InvalidOrder, match="this provider takes none"):
        hub.create_payment("tiny", make_order())
    assert hub.create_payment("tiny", make_order(method=None)).status is PaymentStatus.PENDING


@pytest.mark.parametrize("reference", ["0", "01", "2147483648", "-1", "A1001", "1" * 5000, "1.0"])
def test_an_order_number_outside_the_range_is_refused(reference: str) -> None:
    """Where the gateway counts, and has the number in 32 bits."""
    with pytest.raises(InvalidOrder, match=r"a whole number of 1 to 2147483647|expected a reference of 1 to 64"):
        check_reference(Counting(), reference)


@pytest.mark.parametrize("reference", ["1", "1001", "2147483647"])
def test_an_order_number_within_the_range_is_taken(reference: str) -> None:
    """Up to the largest."""
    check_reference(Counting(), reference)


def test_what_cannot_come_back_is_not_taken(declared: Any, fitting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop that delivers by it would wait for it in vain."""
    assert declared.create_payment("shop", fitting(attach="table 7")).status is PaymentStatus.PENDING
    monkeypatch.setattr(Declared, "info", replace(Declared.info, attach=False))
    with pytest.raises(InvalidOrder, match="without attach: this gateway does not bring it back"):
        declared.create_payment("shop", fitting(attach="table 7", reference="A1002"))
    assert len(declared.requests) == 1
    assert declared.create_payment("shop", fitting(reference="A1003")).status is PaymentStatus.PENDING


@pytest.mark.parametrize("space", ["\u3000", "\xa0", "\u200b", "\xad"])
def test_an_order_number_that_no_answer_could_be_about_is_refused(space: str) -> None:
    """Whatever its provider would take: what comes back is held to printable characters."""

    class Wide(Declared):
        info: ClassVar[ProviderInfo] = replace(Declared.info, reference=".+")

    check_reference(Wide(), "茶 1")
    with pytest.raises(InvalidOrder, match="of printable characters"):
        check_reference(Wide(), f"茶{space}1")


class Counting:
    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="counting", currencies=frozenset({"CNY"}), identity=(), largest_reference=2**31 - 1
    )


@pytest.mark.parametrize(("reference", "taken"), [("R-1", False), ("R_1", False), ("R1", True), ("", False)])
def test_a_refunds_number_has_a_grammar_of_its_own(reference: str, taken: bool) -> None:
    """It is the gateway's key against paying back twice: cut or altered there, it is none."""
    info = replace(Counting.info, refund_reference="[A-Z0-9]{1,20}")
    if taken:
        check_refund_reference(info, reference)
        return
    with pytest.raises(InvalidOrder, match="expected a refund_reference"):
        check_refund_reference(info, reference)


@pytest.mark.parametrize("limit", [0, -1, True, "5", float("nan")])
def test_a_time_limit_that_is_no_time_is_a_mistake(limit: Any) -> None:
    """With it every call would end before it began, or in an error of Python's."""
    with pytest.raises(ConfigError, match=r"info\.time_limits: expected seconds above zero"):
        replace(Declared.info, time_limits={"query": limit})


@pytest.mark.parametrize("kind", [ValueError, "WrongOrder", WrongOrder("this one")])
def test_an_answer_to_what_is_no_kind_of_refusal_is_a_mistake(kind: Any) -> None:
    """Said when the class is written, not while a callback waits."""
    with pytest.raises(ConfigError, match=r"info\.refusals: expected kinds of CallbackError, not "):
        replace(Declared.info, refusals={kind: Reply(b"01")})
