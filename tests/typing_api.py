"""Typical use of every public name, for the type checkers: checked, never run."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, assert_type

import httpx

from payhub_core import (
    Accounts,
    AppParameters,
    AsyncHub,
    BadSignature,
    Callback,
    CallbackError,
    CallbackKind,
    Config,
    ConfigError,
    Flow,
    FormPost,
    GatewayError,
    HtmlPage,
    Hub,
    InvalidOrder,
    MalformedCallback,
    Money,
    NotFound,
    Notification,
    NotSent,
    Order,
    OutcomeUnknown,
    PayhubError,
    Payment,
    PaymentMethod,
    PaymentStatus,
    Provider,
    ProviderInfo,
    QrCode,
    RedactSignatures,
    Redirect,
    Refund,
    RefundStatus,
    Refused,
    Reply,
    Request,
    Response,
    SupportsCandidates,
    SupportsClose,
    SupportsRefund,
    WrongAccount,
    WrongAmount,
    WrongOrder,
    hookimpl,
    hookspec,
    load_account,
    load_accounts,
    load_config,
)
from payhub_core.explanation import Explanation, explain
from payhub_core.kit import (
    FORM,
    AccountSettings,
    Address,
    CallbackFields,
    Fields,
    Number,
    PrivateKey,
    PublicKey,
    PublicKeys,
    Refusal,
    Secret,
    Secrets,
    SignedPairs,
    check_age,
    grammar,
    made_by_any,
    minor_units,
    read_form,
    read_json,
    read_object,
    read_reply,
    verified_by_any,
    write_form,
)
from payhub_core.testing import Played, play
from payhub_gpu import Gpu


def configuration() -> Accounts:
    config = load_config("payhub.toml", secrets_dir="/run/secrets")
    assert_type(config, Config)
    assert_type(load_config(Path("payhub.toml")), Config)
    assert_type(config.default, str | None)
    assert_type(config.ledger, str | None)
    assert_type(config.accounts, Mapping[str, Mapping[str, Any]])
    assert_type(config.routes, Mapping[str, Sequence[str]])
    accounts = load_accounts({"accounts": {"shop": {"provider": "gpu"}}})
    assert_type(accounts["shop"], Provider)
    return load_accounts(config)


def money() -> None:
    price = Money.of("100.00", "CNY")
    assert_type(price, Money)
    assert_type(Money.of(Decimal(1), "CNY") + price - -price, Money)
    assert_type(price < Money(1, "CNY"), bool)
    assert_type(price.amount, Decimal)
    assert_type(price.minor, int)
    Money.of(1.5, "CNY")  # type: ignore[arg-type]
    price + 1  # type: ignore[operator]


def order() -> Order:
    return Order(
        reference="A1001",
        amount=Money(10000, "CNY"),
        description="Tea",
        method=PaymentMethod.ALIPAY_H5,
        notify_url="https://shop.example/notify",
        return_url="https://shop.example/thanks",
        payer="openid",
        attach="basket-7",
        extra={"trade_type": "h5"},
    )


def pay(accounts: Accounts) -> None:
    with Hub(accounts, extensions=[Audit()], client=httpx.Client()) as hub:
        assert_type(hub, Hub)
        payment = hub.create_payment("shop", order())
        assert_type(payment, Payment)
        assert_type(hub.query("shop", "A1001", gateway_id=payment.gateway_id, expect=order()), Payment)
        assert_type(hub["shop"].create_payment(order()), Payment)
        assert_type(hub["shop"].query("A1001"), Payment)
        show(payment)
        try:
            hear(hub.parse_callback("shop", callback(), expect=order()))
        except (BadSignature, MalformedCallback, WrongAccount, WrongOrder, WrongAmount) as refused:
            assert_type(refused, BadSignature | MalformedCallback | WrongAccount | WrongOrder | WrongAmount)


async def pay_async(accounts: Accounts) -> None:
    async with AsyncHub(accounts, extensions=[Audit()], client=httpx.AsyncClient()) as hub:
        assert_type(hub, AsyncHub)
        assert_type(await hub.create_payment("shop", order()), Payment)
        assert_type(await hub.query("shop", "A1001", gateway_id="P1", expect=order()), Payment)
        assert_type(await hub.parse_callback("shop", callback()), Notification)
        assert_type(await hub["shop"].query("A1001"), Payment)
        hub.create_payment("shop")  # type: ignore[call-arg, unused-coroutine]


def callback() -> Callback:
    return Callback("POST", {"Content-Type": "text/plain"}, b"", b"a=1", kind=CallbackKind.RETURN)


def hear(notification: Notification) -> Reply:
    assert_type(notification.kind, CallbackKind)
    assert_type(notification.payment, Payment | None)
    assert_type(notification.bound, bool)
    assert_type(notification.reply.body, bytes)
    assert_type(notification.reply.status_code, int)
    assert_type(notification.reply.content_type, str)
    return notification.reply


def show(payment: Payment) -> str:
    assert_type(payment.status, PaymentStatus)
    assert_type(payment.claimed_status, PaymentStatus | None)
    assert_type(payment.amount, Money | None)
    assert_type(payment.paid, Money | None)
    assert_type(payment.method, PaymentMethod | str | None)
    assert_type(payment.paid_at, datetime | None)
    assert_type(payment.raw, dict[str, Any])
    match payment.next_action:
        case Redirect(url=url):
            return assert_type(url, str)
        case QrCode(content=content):
            return assert_type(content, str)
        case HtmlPage(html=html):
            return assert_type(html, str)
        case FormPost() as form:
            return assert_type(form.html(nonce="n"), str)
        case AppParameters(parameters=parameters):
            return assert_type(parameters, str)
        case None:
            return ""


def handle(error: PayhubError) -> str:
    assert_type(error.account, str)
    assert_type(error.reference, str)
    assert_type(error.hint, str)
    match error:
        case NotSent():
            return "try again"
        case Refused(code=code, reason=reason):
            return f"{assert_type(code, str)} {assert_type(reason, str)}"
        case OutcomeUnknown() | NotFound():
            return "query"
        case ConfigError() | InvalidOrder() | CallbackError() | GatewayError():
            return "give up"
        case _:
            return str(error)


class Audit:
    """An extension."""

    @hookimpl(wrapper=True)
    def create_payment(self, account: str) -> Generator[None, Flow[Payment], Flow[Payment]]:
        flow = yield
        return self.audited(account, flow)

    def audited(self, account: str, flow: Flow[Payment]) -> Flow[Payment]:
        payment = yield from flow
        assert_type(payment, Payment)
        return payment


class Own:
    """A provider that names every argument, and has the optional hooks."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="own", currencies=frozenset({"CNY"}), identity=("key",), methods=frozenset(PaymentMethod)
    )
    key: str = ""
    timeout: float = 15.0

    @hookimpl
    def create_payment(self, account: str, order: Order) -> Flow[Payment]:
        response = yield Request("POST", "https://own.example")
        assert_type(response, Response)
        return Payment(reference=order.reference, status=PaymentStatus.PENDING)

    @hookimpl
    def parse_callback(self, account: str, callback: Callback, expect: Order | None) -> Notification:
        return Notification(CallbackKind.OTHER, None, Reply(b"pong"))

    @hookimpl
    def query(
        self,
        account: str,
        reference: str,
        gateway_id: str | None,
        expect: Order | None,
        created_at: datetime | None,
    ) -> Payment:
        return Payment(reference=reference, status=PaymentStatus.PAID)

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        yield Request("POST", "https://own.example/refunds")
        return Refund(reference=reference, refund_reference=refund_reference, status=RefundStatus.PENDING)

    @hookimpl
    def close(self, reference: str) -> Payment:
        return Payment(reference=reference, status=PaymentStatus.CANCELED)


class Short:
    """A provider that names what it needs, as the documentation advises."""

    info: ClassVar[ProviderInfo] = ProviderInfo(name="short", currencies=frozenset({"CNY"}), identity=())
    timeout: float = 15.0

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        return Payment(reference=order.reference, status=PaymentStatus.PENDING)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        yield Request("GET", "https://short.example")
        return Notification(callback.kind, None)

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        yield Request("GET", "https://short.example")
        return Payment(reference=reference, status=PaymentStatus.PAID)


class WrongResult(Short):
    """A query that ends in text."""

    @hookimpl
    def query(self, reference: str) -> str:  # type: ignore[override]
        return reference


class HookMissing:
    """No query."""

    info: ClassVar[ProviderInfo] = Short.info
    timeout: float = 15.0
    create_payment = Short.create_payment
    parse_callback = Short.parse_callback


def provide(gpu: Gpu) -> list[Provider]:
    Hub({"own": Own(), "short": Short(), "gpu": gpu})
    AsyncHub({"own": Own(), "short": Short(), "gpu": gpu})
    Hub({"gpu": gpu})
    Hub({"wrong": WrongResult()})  # type: ignore[dict-item]
    Hub({"missing": HookMissing()})  # type: ignore[dict-item]
    optional(Own(), Own())
    optional(Short(), Short())  # type: ignore[arg-type]
    return [Own(), Short(), gpu]


def candidates(provider: SupportsCandidates, gpu: Gpu, callback: Callback) -> None:
    candidates(gpu, gpu, callback)
    assert_type(provider.signature_candidates(callback), Iterable[tuple[str, bool]])
    assert_type(explain({"shop": gpu}, "shop", callback), Explanation)


def optional(refunds: SupportsRefund, closes: SupportsClose) -> None:
    assert_type(refunds.refund, Callable[..., Refund | Flow[Refund]])
    assert_type(closes.close, Callable[..., Payment | Flow[Payment]])


def tenants(hub: Hub) -> None:
    assert_type(load_account("shop", {"provider": "gpu"}), Provider)
    assert_type(load_account("shop", {"provider": Gpu}), Provider)
    hub.forget("shop")
    assert_type(hub["shop"].supports("refund"), bool)
    assert_type(hub["shop"].info, ProviderInfo)


def more(hub: Hub, client: httpx.AsyncClient) -> None:
    assert_type(hub.refund("shop", "A1001", "P1", Money.of("1.00", "CNY"), "R1"), Refund)
    assert_type(hub.close_payment("shop", "A1001"), Payment)
    Hub({}, client=client)  # type: ignore[arg-type]


async def more_async(hub: AsyncHub) -> None:
    assert_type(await hub.refund("shop", "A1001", None, Money.of("1.00", "CNY"), "R1"), Refund)
    assert_type(await hub["shop"].close_payment("A1001", "P1"), Payment)


def marks() -> None:
    hookspec(firstresult=True)
    hookimpl(wrapper=True)


def redact() -> None:
    import logging  # noqa: PLC0415

    logging.StreamHandler().addFilter(RedactSignatures())


def account() -> Gpu:
    return Gpu(base_url="https://gateway.example", appid="gpu1", secret=(Secret("x" * 16),), timeout=5)


class Wallet(AccountSettings):
    base_url: Address
    secret: Secrets
    key: PrivateKey
    gateway_keys: PublicKeys


def settings(wallet: Wallet) -> None:
    assert_type(wallet.base_url, str)
    assert_type(wallet.secret[0], Secret)
    assert_type(wallet.secret[0].text, str)
    assert_type(bytes(wallet.secret[0]), bytes)
    assert_type(wallet.gateway_keys, tuple[PublicKey, ...])
    assert_type(wallet.timeout, float)


def messages(callback: Callback, response: httpx.Response, wallet: Wallet) -> None:
    assert_type(
        read_form(callback, methods=("GET", "POST"), address="", free_text=("note",), reserved=("key",)), CallbackFields
    )
    assert_type(read_json(callback), CallbackFields)
    assert_type(read_object(b"{}", CallbackFields), CallbackFields)
    refusal: Refusal = lambda fields: (fields.text("code"), fields.text("message"))  # noqa: E731
    assert_type(read_reply(response, ok=(200, 201), refusal=refusal, missing=True), Fields)
    assert_type(write_form({"type": FORM}), bytes)
    assert_type(minor_units(Money(500, "ISK"), 2), int)
    assert_type(made_by_any(wallet.secret, bytes, callback.header("x-signature"), "base64"), bool)
    assert_type(made_by_any(wallet.secret, lambda key: hmac.digest(bytes(key), callback.body, "sha256"), None), bool)
    assert_type(made_by_any(wallet.secret, lambda key: hashlib.md5(f"a{key.text}".encode()).digest(), ""), bool)
    assert_type(made_by_any("a", lambda key: hmac.new(key.encode(), b"", hashlib.sha256).digest(), "", "base64"), bool)
    assert_type(verified_by_any(wallet.gateway_keys, wallet.key.sign(b""), b""), bool)
    check_age(callback, callback.header("x-timestamp"), 60)
    rule = SignedPairs(named="key", placement="first", empties="keep", unsigned=("sign_type",), sums=("money",))
    assert_type(rule.candidates(callback, wallet.secret), Iterator[tuple[str, bool]])


def values(fields: Fields) -> None:
    assert_type(fields.text("id"), str)
    assert_type(fields.text("id", default=None), str | None)
    assert_type(fields.read("id", grammar("[0-9]+", "digits")), str)
    assert_type(fields.read("count", int, default=None), int | None)
    assert_type(fields.choice("state", {"done": PaymentStatus.PAID}), PaymentStatus)
    assert_type(fields.choice("state", {"done": True}, default=None), bool | None)
    assert_type(fields.money("sum", "CNY", "minor", decimals=2), Money)
    assert_type(fields.money("sum", "CNY", "major", default=None), Money | None)
    assert_type(fields.time("at"), datetime)
    assert_type(fields.time("at", "+08:00", default=None), datetime | None)
    assert_type(fields.object("data"), Fields)
    assert_type(fields.objects("items"), list[Fields])
    Number("1.5")


def played(own: Own, short: Short, provider: Provider) -> None:
    payment, requests = play(short.query("A1001"), Response(200))
    assert_type(payment, Payment)
    assert_type(requests, list[Request])
    assert_type(play(own.refund("A1001", Money(1, "CNY"), "R1"), Response(200)).result, Refund)
    assert_type(play(short.create_payment(order())).result, Payment)
    assert_type(play(own.parse_callback("own", callback(), None)), Played[Notification])
    assert_type(play(provider.query("own", "A1001", None, None, None)).result, Payment)
