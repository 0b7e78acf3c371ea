"""Creating a payment: the request that leaves, and what its reply means (protocol, section 5.1)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub_core import (
    AccountRefused,
    AppParameters,
    GatewayError,
    HtmlPage,
    InvalidOrder,
    Money,
    OutcomeUnknown,
    Payment,
    PaymentMethod,
    PaymentStatus,
    QrCode,
    Redirect,
    Refused,
)
from payhub_gpu import Gpu

PRINTABLE = st.characters(exclude_categories=["Cc", "Cs"])


def sent(request: httpx.Request) -> dict[str, str]:
    """The form of a request, as a gateway reads it."""
    pairs = parse_qsl(request.content.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def answer(gpu: Gpu, order: Any, response: httpx.Response) -> Payment:
    """Steps the flow by hand: one request, one reply."""
    flow = gpu.create_payment(order=order)
    next(flow)
    with pytest.raises(StopIteration) as stop:
        flow.send(response)
    return stop.value.value


# The request


def test_the_request_is_a_signed_form(gpu: Gpu, order: Any, platform: Any) -> None:
    """One POST with the fields of section 5.1, signed as the platform signs."""
    request = next(gpu.create_payment(order=order))
    assert (request.method, str(request.url)) == ("POST", "https://gateway.example/api/order/unified")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert int(request.headers["content-length"]) == len(request.content)
    fields = {
        "appid": "gpu10000000",
        "order_no": "A1001",
        "amount": "10000",
        "product_name": "Tea",
        "bank_code": "901",
        "notify_url": "https://shop.example/pay/shop/notify",
        "return_url": "https://shop.example/thanks",
    }
    assert sent(request) == {**fields, "sign": platform.sign(fields)}


def test_empty_fields_are_neither_sent_nor_signed(gpu: Gpu, make_order: Any) -> None:
    """So that a gateway that keeps empties and one that drops them read the same string."""
    fields = sent(next(gpu.create_payment(order=make_order(attach="", payer="", extra={"empty": "", "zero": "0"}))))
    assert not {"attach", "openid", "empty"} & fields.keys()
    assert fields["zero"] == "0"


def test_the_secret_never_travels(gpu: Gpu, order: Any, platform: Any) -> None:
    """Not as a value and not as a name."""
    request = next(gpu.create_payment(order=order))
    everything = str(request.url) + str(request.headers) + request.content.decode()
    assert platform.secret not in everything
    assert "secret" not in everything


def test_the_first_of_several_secrets_signs(make_gpu: Any, order: Any, platform: Any) -> None:
    """The new key is put in front when it begins to count."""
    new = "the-new-secret-of-the-shop-00001"
    fields = sent(next(make_gpu(secret=[new, platform.secret]).create_payment(order=order)))
    assert fields["sign"] == platform.sign(fields, secret=new)


@pytest.mark.parametrize("placement", ["sorted", "last"])
def test_the_secret_stands_where_the_brand_wants_it(
    make_gpu: Any, make_order: Any, platform: Any, placement: str
) -> None:
    """Told apart only by fields that sort behind it."""
    account = make_gpu(secret_placement=placement)
    fields = sent(next(account.create_payment(order=make_order(extra={"user_id": "7"}))))
    assert fields["sign"] == platform.sign(fields, placement=placement)


@pytest.mark.parametrize(
    ("method", "code"),
    [
        (PaymentMethod.ALIPAY_H5, "901"),
        (PaymentMethod.WECHAT_OFFICIAL_ACCOUNT, "902"),
        (PaymentMethod.WECHAT_H5, "903"),
        (PaymentMethod.ALIPAY_APP, "904"),
        (PaymentMethod.WECHAT_APP, "905"),
        (PaymentMethod.NET_BANKING, "906"),
        (PaymentMethod.ALIPAY_QR, "911"),
        (PaymentMethod.WECHAT_QR, "912"),
        (PaymentMethod.ALIPAY_PERSONAL_QR, "913"),
        ("alipay_h5", "901"),
        ("20009", "20009"),
        ("907", "907"),
    ],
)
def test_methods_are_bank_codes_and_other_codes_pass_through(gpu: Gpu, make_order: Any, method: Any, code: str) -> None:
    """Section 6 is an open set."""
    order = make_order(method=method, payer="openid-1")
    assert sent(next(gpu.create_payment(order=order)))["bank_code"] == code


def test_every_method_that_the_provider_lists_has_a_code(gpu: Gpu, make_order: Any) -> None:
    """The capability list is no promise on paper."""
    for method in gpu.info.methods:
        assert sent(next(gpu.create_payment(order=make_order(method=method, payer="o"))))["bank_code"].isdigit()


def test_the_payer_travels_as_openid(gpu: Gpu, make_order: Any) -> None:
    """Needed where WeChat's official account pays."""
    order = make_order(method=PaymentMethod.WECHAT_OFFICIAL_ACCOUNT, payer="o-1234")
    assert sent(next(gpu.create_payment(order=order)))["openid"] == "o-1234"


@pytest.mark.parametrize(
    ("field", "attribute", "text"),
    [
        ("product_name", "description", "A & B = 100%"),
        ("product_name", "description", "茶 + 水"),
        ("notify_url", "notify_url", "https://shop.example/n?shop=1&lang=zh"),
        ("return_url", "return_url", "https://shop.example/r?q=%E8%8C%B6&x=a+b#top"),
    ],
)
def test_names_and_addresses_are_signed_raw_and_encoded_once(
    gpu: Gpu, make_order: Any, platform: Any, field: str, attribute: str, text: str
) -> None:
    """What the gateway decodes is what the shop wrote, and what was signed."""
    fields = sent(next(gpu.create_payment(order=make_order(**{attribute: text}))))
    assert fields[field] == text
    assert fields["sign"] == platform.sign(fields)


@pytest.mark.parametrize(
    ("attach", "field"),
    [("茶", "%E8%8C%B6"), ("a&b=c", "a%26b%3Dc"), ("A-z_0.9~", "A-z_0.9~"), ("100%", "100%25"), ("a b/c", "a%20b%2Fc")],
)
def test_attach_is_percent_encoded_before_it_is_signed(
    gpu: Gpu, make_order: Any, platform: Any, attach: str, field: str
) -> None:
    """Which takes & and = out of it at the source."""
    fields = sent(next(gpu.create_payment(order=make_order(attach=attach))))
    assert fields["attach"] == field
    assert fields["sign"] == platform.sign(fields)


@given(
    description=st.text(PRINTABLE, min_size=1, max_size=40),
    attach=st.text(PRINTABLE, max_size=40),
    tail=st.text(st.characters(codec="ascii", categories=["L", "N", "P"], exclude_characters="\\"), max_size=20),
    minor=st.integers(1, 10**12 - 1),
    extra=st.dictionaries(st.sampled_from(["a", "trade_type", "z_1"]), st.text(PRINTABLE, max_size=20)),
)
def test_whatever_is_ordered_arrives_signed(
    gpu: Gpu, make_order: Any, platform: Any, description: str, attach: str, tail: str, minor: int, extra: Any
) -> None:
    """A gateway that decodes the form once and checks the signature finds it good, and every text unharmed."""
    notify_url = f"https://shop.example/n?{tail}"
    order = make_order(
        description=description, attach=attach, notify_url=notify_url, amount=Money(minor, "CNY"), extra=extra
    )
    fields = sent(next(gpu.create_payment(order=order)))
    assert fields["sign"] == platform.sign(fields)
    assert fields["amount"] == str(minor)
    assert (fields["product_name"], fields["notify_url"]) == (description, notify_url)
    assert {name: fields[name] for name in extra if extra[name]} == {k: v for k, v in extra.items() if v}


def test_every_price_to_a_thousand_leaves_as_exact_fen(gpu: Gpu, make_order: Any) -> None:
    """0.01 to 1,000.00, each of them."""
    for fen in range(1, 100_001, 997):
        order = make_order(amount=Money.of(f"{fen // 100}.{fen % 100:02}", "CNY"))
        assert sent(next(gpu.create_payment(order=order)))["amount"] == str(fen)


# Orders that are refused before any request


@pytest.mark.parametrize(
    "changes",
    [
        {"reference": "A" * 21},
        {"reference": "A 1"},
        {"reference": "A/1"},
        {"reference": "订单1"},
        {"reference": "Ａ1"},
        {"method": None},
        {"method": ""},
        {"method": "alipay_h55"},
        {"method": PaymentMethod.CARD},
        {"amount": Money.of("1.00", "USD")},
        {"amount": Money(10**12, "CNY")},
        {"method": PaymentMethod.WECHAT_OFFICIAL_ACCOUNT, "payer": None},
        {"extra": {"amount": "1"}},
        {"extra": {"Sign": "1"}},
        {"extra": {"secret": "1"}},
        {"extra": {"SECRET": "1"}},
        {"extra": {"pay_status": "1"}},
        {"extra": {"actual_amount": "1"}},
        {"extra": {"a b": "1"}},
        {"extra": {"a&b": "1"}},
        {"extra": {"a=b": "1"}},
        {"extra": {"名": "1"}},
        {"extra": {"": "1"}},
    ],
)
def test_an_order_that_the_gateway_cannot_take_is_refused_before_any_request(
    hub: Any, make_order: Any, changes: dict[str, Any]
) -> None:
    """InvalidOrder: the core holds the order to what the provider declares."""
    with pytest.raises(InvalidOrder):
        hub.create_payment("shop", make_order(**changes))


def test_the_longest_order_number_is_the_brands(make_gpu: Any, make_order: Any) -> None:
    """Twenty as documented; the setting allows what a brand takes."""
    long = make_order(reference="A" * 30)
    assert sent(next(make_gpu(order_no_max_length=30).create_payment(order=long)))["order_no"] == "A" * 30
    assert next(make_gpu().create_payment(order=make_order(reference="A" * 20)))


def test_a_reference_has_no_newline_behind_it(hub: Any) -> None:
    """A pattern that ends in $ would let it pass."""
    with pytest.raises(InvalidOrder):
        hub.query("shop", "A1001\n")


# The reply


def test_an_accepted_create_is_pending_with_a_way_to_pay(gpu: Gpu, order: Any, platform: Any) -> None:
    """Every field of the reply in payhub's words."""
    payment = answer(gpu, order, platform.create_reply())
    assert payment.reference == "A1001"
    assert payment.gateway_id == "P2019081800134100001"
    assert payment.status is PaymentStatus.PENDING
    assert payment.amount == Money.of("100.00", "CNY")
    assert payment.paid is None
    assert payment.method is PaymentMethod.ALIPAY_H5
    assert payment.next_action == Redirect(url="https://gateway.example/pay/P2019081800134100001")


def test_attach_is_the_orders_own(gpu: Gpu, make_order: Any, platform: Any) -> None:
    """The reply need not repeat it."""
    assert answer(gpu, make_order(attach="茶"), platform.create_reply()).attach == "茶"


@pytest.mark.parametrize("word", [-1, 0, 1, "-1", "0", "1", "7"])
def test_a_create_reply_never_says_paid_or_failed(gpu: Gpu, order: Any, platform: Any, word: Any) -> None:
    """It is not signed, and this gateway calls fresh orders failed."""
    assert answer(gpu, order, platform.create_reply(pay_status=word)).status is PaymentStatus.PENDING


@pytest.mark.parametrize("status", [1, "1"])
@pytest.mark.parametrize("amount", [10000, "10000", "10000.00", None])
@pytest.mark.parametrize("code", [901, "901", None])
def test_numbers_come_as_int_or_as_text(
    gpu: Gpu, order: Any, platform: Any, status: Any, amount: Any, code: Any
) -> None:
    """PHP does not care; neither may we."""
    data = platform.create_reply(amount=amount, bank_code=code).json()["data"]
    payment = answer(gpu, order, platform.reply(data, status))
    assert payment.method is PaymentMethod.ALIPAY_H5
    assert payment.amount in {None, order.amount}


def test_a_sum_written_as_a_json_fraction_is_read_exactly(gpu: Gpu, order: Any, platform: Any) -> None:
    """``10000.00`` without quotes never becomes a float."""
    text = platform.create_reply().text.replace('"amount":10000', '"amount":10000.00')
    assert '"amount":10000.00' in text
    assert answer(gpu, order, httpx.Response(200, text=text)).amount == order.amount


@pytest.mark.parametrize("method", [PaymentMethod.ALIPAY_QR, PaymentMethod.WECHAT_QR, PaymentMethod.ALIPAY_PERSONAL_QR])
def test_the_address_of_a_scan_code_is_what_one_draws(gpu: Gpu, make_order: Any, platform: Any, method: Any) -> None:
    """QR is presentation of a URL; no picture travels."""
    for bank_code in (None, gpu and {"alipay_qr": 911, "wechat_qr": 912, "alipay_personal_qr": 913}[method]):
        payment = answer(gpu, make_order(method=method), platform.create_reply(bank_code=bank_code))
        assert payment.next_action == QrCode(content="https://gateway.example/pay/P2019081800134100001")


@pytest.mark.parametrize("url", ["no_redirect", "NO_REDIRECT", "No_Redirect", "", None])
def test_no_redirect_means_that_the_content_is_shown(gpu: Gpu, order: Any, platform: Any, url: Any) -> None:
    """The literal word, in any case; or no address at all."""
    html = '<form action="https://wallet.example"></form><script>document.forms[0].submit()</script>'
    payment = answer(gpu, order, platform.create_reply(redirect_url=url, content=html))
    assert payment.next_action == HtmlPage(html=html)


def test_a_redirect_is_preferred_to_content(gpu: Gpu, order: Any, platform: Any) -> None:
    """As section 5.1 has it."""
    payment = answer(gpu, order, platform.create_reply(content="<form></form>"))
    assert isinstance(payment.next_action, Redirect)


@pytest.mark.parametrize("content", ["appid=1&sign=2", '{"timestamp": "1"}'])
def test_content_that_is_no_html_is_for_the_wallets_sdk(gpu: Gpu, make_order: Any, platform: Any, content: str) -> None:
    """App codes: parameters, handed over unchanged."""
    order = make_order(method=PaymentMethod.WECHAT_APP)
    payment = answer(gpu, order, platform.create_reply(bank_code=905, redirect_url="no_redirect", content=content))
    assert payment.next_action == AppParameters(parameters=content)


def test_content_that_is_an_object_is_for_the_wallets_sdk_too(gpu: Gpu, make_order: Any, platform: Any) -> None:
    """As JSON text, Chinese unharmed."""
    order = make_order(method=PaymentMethod.WECHAT_APP)
    reply = platform.create_reply(redirect_url="no_redirect", content={"prepay_id": "1", "名": "茶"})
    assert answer(gpu, order, reply).next_action == AppParameters(parameters='{"prepay_id":"1","名":"茶"}')


@pytest.mark.parametrize(
    "url", ["weixin://wxpay/bizpayurl?pr=1", "alipays://platformapi/startapp?x=1", "wxp://f2f0", "HTTPS://x.example/a"]
)
def test_wallets_have_schemes_of_their_own(gpu: Gpu, order: Any, platform: Any, url: str) -> None:
    """An allow-list: the web and the wallets."""
    assert answer(gpu, order, platform.create_reply(redirect_url=url)).next_action == Redirect(url=url)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "/relative",
        "//other.example",
        "gateway.example/pay",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "\x01javascript:x",
        "https://x.example/\r\nSet-Cookie: a=b",
        "https://x.example/a b",
        "intent://x",
        "http",
        "https:",
        "https://",
    ],
)
def test_an_address_that_could_run_a_script_is_an_unknown_outcome(
    gpu: Gpu, order: Any, platform: Any, url: str
) -> None:
    """Whoever can alter the reply must not run anything in the shop's page."""
    flow = gpu.create_payment(order=order)
    next(flow)
    with pytest.raises(GatewayError):
        flow.send(platform.create_reply(redirect_url=url))


@pytest.mark.parametrize("data", [[], None, "", {}, "missing", 0])
@pytest.mark.parametrize("status", [0, "0"])
def test_status_0_is_a_refusal_whatever_stands_beside_it(
    gpu: Gpu, order: Any, platform: Any, status: Any, data: Any
) -> None:
    """PHP platforms refuse with HTTP 200 and any data at all."""
    body: dict[str, Any] = {"status": status, "message": "签名错误", "data": data}
    if data == "missing":
        del body["data"]
    flow = gpu.create_payment(order=order)
    next(flow)
    with pytest.raises(Refused, match="签名错误") as caught:
        flow.send(httpx.Response(200, json=body))
    assert (caught.value.code, caught.value.reason) == ("0", "签名错误")
    assert "payhub dry-run" in caught.value.hint


@pytest.mark.parametrize("message", ["x" * 100_000, "a\nb\r\x01\x1b[31mc\u2028d", 5, None, ["a"], {"a": 1}])
def test_the_words_of_a_refusal_are_one_short_clean_line(gpu: Gpu, order: Any, message: Any) -> None:
    """They end up in logs and on screens."""
    import json  # noqa: PLC0415

    flow = gpu.create_payment(order=order)
    next(flow)
    with pytest.raises(Refused) as caught:
        flow.send(httpx.Response(200, content=json.dumps({"status": 0, "message": message}).encode()))
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()
    assert caught.value.reason.isprintable()


GOOD = (
    '{"status":1,"message":"ok","data":{"order_no":"A1001","pay_status":-1,"amount":10000,'
    '"redirect_url":"https://gateway.example/p"}}'
)
UNREADABLE = {
    "empty": "",
    "html": "<html><body>502 Bad Gateway</body></html>",
    "a PHP warning first": "<br />\n<b>Warning</b>: x in y on line 1<br />" + GOOD,
    "truncated": GOOD[:-20],
    "two objects": GOOD + GOOD,
    "an array": "[1]",
    "null": "null",
    "a number": "1",
    "text": '"SUCCESS"',
    "no status": '{"message":"ok"}',
    "status true": GOOD.replace('"status":1', '"status":true'),
    "status null": GOOD.replace('"status":1', '"status":null'),
    "status 1.0": GOOD.replace('"status":1', '"status":1.0'),
    "status 1e0": GOOD.replace('"status":1', '"status":1e0'),
    "status 2": GOOD.replace('"status":1', '"status":2'),
    "status ok": GOOD.replace('"status":1', '"status":"ok"'),
    "status in full width": GOOD.replace('"status":1', '"status":"１"'),
    "status twice": GOOD.replace('"status":1', '"status":0,"status":1'),
    "status NaN": GOOD.replace('"status":1', '"status":NaN'),
    "data a list": '{"status":1,"data":[]}',
    "data null": '{"status":1,"data":null}',
    "data empty text": '{"status":1,"data":""}',
    "data missing": '{"status":1}',
    "data empty": '{"status":1,"data":{}}',
    "order_no null": GOOD.replace('"A1001"', "null"),
    "order_no a list": GOOD.replace('"A1001"', '["A1001"]'),
    "order_no twice": GOOD.replace('"order_no":"A1001"', '"order_no":"B2","order_no":"A1001"'),
    "pay_status true": GOOD.replace("-1", "true"),
    "pay_status null": GOOD.replace("-1", "null"),
    "pay_status 1.5": GOOD.replace("-1", "1.5"),
    "amount true": GOOD.replace("10000", "true"),
    "amount of a fraction": GOOD.replace("10000", "10000.01"),
    "amount negative": GOOD.replace("10000", "-10000"),
    "amount 1e4": GOOD.replace("10000", "1e4"),
    "amount NaN": GOOD.replace("10000", "NaN"),
    "amount of 5,000 digits": GOOD.replace("10000", "1" * 5000),
    "redirect_url a list": GOOD.replace('"https://gateway.example/p"', "[]"),
    "a lone surrogate": GOOD.replace('"ok"', r'"\ud83c"'),
    "nothing to do next": GOOD.replace('"https://gateway.example/p"', '"no_redirect"'),
    "blank content": GOOD.replace('"https://gateway.example/p"', '"no_redirect","content":" "'),
    "content a number": GOOD.replace('"https://gateway.example/p"', '"no_redirect","content":5'),
    "nested without end": '{"status":' + "[" * 200_000,
    "nested": "[" * 100_000 + "]" * 100_000,
}


def test_the_good_reply_behind_the_bad_ones_is_good(gpu: Gpu, order: Any) -> None:
    """Or they would prove nothing; a byte order mark before it is forgiven."""
    assert answer(gpu, order, httpx.Response(200, text=GOOD)).reference == "A1001"
    assert answer(gpu, order, httpx.Response(200, content=b"\xef\xbb\xbf" + GOOD.encode())).reference == "A1001"


@pytest.mark.parametrize("open_hub", ["Hub"], indirect=True)
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_reply_that_cannot_be_understood_is_an_unknown_outcome(
    open_hub: Any, gateway: Any, order: Any, name: str
) -> None:
    """Never a refusal, never a payment, and one request was sent."""
    answers = gateway(httpx.Response(200, content=UNREADABLE[name].encode()))
    with pytest.raises(OutcomeUnknown) as caught:
        open_hub(answers).create_payment("shop", order)
    assert caught.value.reference == "A1001"
    assert len(answers.requests) == 1


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00", GOOD.encode("utf-16"), GOOD.encode()[:-3] + b"\xff}}"])
def test_a_reply_that_is_no_utf_8_is_an_unknown_outcome(gpu: Gpu, order: Any, content: bytes) -> None:
    """Nothing is replaced or guessed."""
    flow = gpu.create_payment(order=order)
    next(flow)
    with pytest.raises(GatewayError):
        flow.send(httpx.Response(200, content=content))


@pytest.mark.parametrize("open_hub", ["Hub"], indirect=True)
@pytest.mark.parametrize("code", [201, 204, 301, 302, 307, 400, 401, 403, 404, 429, 500, 502, 503, 504])
def test_any_other_http_status_is_an_unknown_outcome(open_hub: Any, gateway: Any, order: Any, code: int) -> None:
    """Even with a good body; redirects are not followed, and nothing is sent twice."""
    answers = gateway(httpx.Response(code, text=GOOD, headers={"Location": "https://other.example/"}))
    with pytest.raises(OutcomeUnknown):
        open_hub(answers).create_payment("shop", order)
    assert len(answers.requests) == 1


@pytest.mark.parametrize("changes", [{"order_no": "B2"}, {"order_no": "a1001"}, {"order_no": 1001}, {"amount": "1"}])
def test_a_reply_about_another_order_is_an_unknown_outcome(
    open_hub: Any, gateway: Any, platform: Any, order: Any, changes: dict[str, Any]
) -> None:
    """Replies are not signed: number and sum must be those that were sent."""
    answers = gateway(platform.create_reply(**changes))
    with pytest.raises(OutcomeUnknown):
        open_hub(answers).create_payment("shop", order)
    assert len(answers.requests) == 1


def test_a_sum_in_a_reply_is_optional(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """Then it is the order's."""
    assert open_hub(gateway(platform.create_reply(amount=None))).create_payment("shop", order).amount == order.amount


def test_the_gateways_other_fields_are_kept_raw(gpu: Gpu, order: Any, platform: Any) -> None:
    """Nothing of the payment is lost, but for signatures."""
    payment = answer(gpu, order, platform.create_reply(fee="12", sign="0" * 32))
    assert payment.raw["fee"] == "12"
    assert "sign" not in payment.raw


@given(body=st.binary(max_size=200))
def test_arbitrary_bytes_in_a_reply_end_in_our_errors(gpu: Gpu, order: Any, body: bytes) -> None:
    """As a create's reply and as a query's."""
    for flow in (gpu.create_payment(order=order), gpu.query(reference="A1001")):
        next(flow)
        with pytest.raises(GatewayError):
            flow.send(httpx.Response(200, content=body))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["1", "A1001", 1, 0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("message", "of_account"),
    [
        ("通道维护中", True),
        ("channel unavailable", True),
        ("under maintenance.", True),
        ("签名校验失败", True),
        ("验签不通过", True),
        ("sign error", True),
        ("Invalid signature", True),
        ("商户号已被冻结", True),
        ("appid错误", True),
        ("merchant not found", True),
        ("IP不在白名单", True),
        ("Too Many Requests", True),
        ("金额错误", False),
        ("商户订单号重复", False),
        ("商户订单号不存在", False),
        ("商品名称无效", False),
        ("please sign in a browser", False),
        ("", False),
    ],
)
def test_what_is_wrong_with_the_account_is_told_from_an_order_that_is_wrong(
    gpu: Gpu, order: Any, message: str, of_account: bool
) -> None:
    """Only the first lets a route try its next account."""
    flow = gpu.create_payment(order=order)
    next(flow)
    with pytest.raises(Refused) as refused:
        flow.send(httpx.Response(200, json={"status": 0, "message": message, "data": []}))
    assert isinstance(refused.value, AccountRefused) is of_account


@given(
    status=st.sampled_from([1, "1", 0, None]),
    data=JSON
    | st.dictionaries(
        st.sampled_from(["order_no", "amount", "pay_status", "redirect_url", "content", "created_at"]), JSON
    ),
)
def test_arbitrary_json_in_a_reply_ends_in_a_payment_or_in_our_errors(
    gpu: Gpu, order: Any, status: Any, data: Any
) -> None:
    """Whatever the types."""
    import json  # noqa: PLC0415

    content = json.dumps({"status": status, "message": "m", "data": data}).encode()
    for flow in (gpu.create_payment(order=order), gpu.query(reference="A1001")):
        next(flow)
        with pytest.raises((GatewayError, StopIteration)):
            flow.send(httpx.Response(200, content=content))


@pytest.mark.parametrize(
    "name",
    [
        *("actual_amount", "amount", "appid", "attach", "bank_code", "notify_url", "openid", "order_no", "pay_status"),
        *("pay_time", "platform_order_no", "product_name", "return_url", "secret", "sign"),
    ],
)
def test_an_orders_extra_sets_no_field_of_the_protocol(hub: Any, make_order: Any, name: str) -> None:
    """The sum and the addresses are the core's to write."""
    with pytest.raises(InvalidOrder, match=name):
        hub.create_payment("shop", make_order(extra={name: "1"}))


def test_a_refusal_without_words_has_none(gpu: Gpu, order: Any) -> None:
    """None are made up."""
    flow = gpu.create_payment(order=order)
    next(flow)
    with pytest.raises(Refused) as refused:
        flow.send(httpx.Response(200, json={"status": 0, "data": []}))
    assert refused.value.reason == ""
