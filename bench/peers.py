"""Other payment libraries at the same work, a genuine callback verified and parsed, each in its own format.

Each is measured beside the same work written by hand for that format and beside payhub, in one run. None is needed:
``pip install -e '.[bench]'`` installs them, and what is missing is named.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.table import Table

import floors
from payhub_core import Callback, Hub, load_accounts
from rounds import compare, pin
from run import FORM, ORDER, accounts

Work = Callable[[], object]

console = Console()

KEY = "0123456789abcdef0123456789abcdef"
#: As Stripe documents the event of a PaymentIntent that succeeded.
EVENT = """{
  "id": "evt_1", "object": "event", "api_version": "2025-03-31.basil", "created": 1787000000, "livemode": false,
  "pending_webhooks": 1, "request": {"id": "req_1", "idempotency_key": "A1001"}, "type": "payment_intent.succeeded",
  "data": {"object": {
    "id": "pi_1", "object": "payment_intent", "amount": 10000, "amount_capturable": 0, "amount_received": 10000,
    "amount_details": {"tip": {}}, "application": null, "application_fee_amount": null, "canceled_at": null,
    "automatic_payment_methods": {"enabled": true}, "cancellation_reason": null, "capture_method": "automatic",
    "client_secret": "pi_1_secret", "confirmation_method": "automatic", "created": 1787000000, "currency": "cny",
    "customer": null, "description": "Tea", "last_payment_error": null, "latest_charge": "ch_1", "livemode": false,
    "metadata": {"order": "A1001"}, "next_action": null, "on_behalf_of": null, "payment_method": "pm_1",
    "payment_method_options": {"alipay": {}}, "payment_method_types": ["alipay"], "processing": null,
    "receipt_email": null, "review": null, "setup_future_usage": null, "shipping": null, "source": null,
    "statement_descriptor": null, "status": "succeeded", "transfer_data": null, "transfer_group": null
  }}
}"""


def must(fine: bool) -> None:
    if not fine:
        raise ValueError("bad signature")


def form(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True))


def joined(fields: dict[str, str]) -> str:
    return "&".join([f"{name}={value}" for name, value in sorted(fields.items())])


def stripe() -> tuple[Work, Work]:
    """Version 1 of Stripe's scheme: HMAC-SHA256 over time and JSON."""
    from stripe import Webhook

    body, now = EVENT.encode(), int(time.time())
    header = f"t={now},v1={hmac.new(KEY.encode(), f'{now}.{EVENT}'.encode(), 'sha256').hexdigest()}"

    def by_hand() -> object:
        moment, signature = (item.partition("=")[2] for item in header.split(","))
        made = hmac.new(KEY.encode(), moment.encode() + b"." + body, "sha256").hexdigest()
        must(hmac.compare_digest(made, signature) and abs(time.time() - int(moment)) < 300)
        return json.loads(body)

    return by_hand, lambda: Webhook.construct_event(body, header, KEY)


def standardwebhooks() -> tuple[Work, Work]:
    """standardwebhooks.com: HMAC-SHA256 over id, time and JSON."""
    from standardwebhooks import Webhook

    body, now, webhook = EVENT.encode(), str(int(time.time())), Webhook(KEY.encode())
    made = base64.b64encode(hmac.digest(KEY.encode(), f"msg_1.{now}.{EVENT}".encode(), "sha256")).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": now, "webhook-signature": f"v1,{made}"}

    def by_hand() -> object:
        moment = headers["webhook-timestamp"]
        signed = f"{headers['webhook-id']}.{moment}.".encode() + body
        given = base64.b64decode(headers["webhook-signature"].partition(",")[2])
        fresh = abs(time.time() - int(moment)) < 300
        must(hmac.compare_digest(hmac.digest(KEY.encode(), signed, "sha256"), given) and fresh)
        return json.loads(body)

    return by_hand, lambda: webhook.verify(body, headers)


def wechatpy() -> tuple[Work, Work]:
    """WeChat Pay, version 2: MD5 over the sorted fields of an XML document."""
    from wechatpy.pay import WeChatPay

    client = WeChatPay("wx1", KEY, "1900000109")
    fields = form(
        "appid=wx1&bank_type=CFT&cash_fee=10000&fee_type=CNY&mch_id=1900000109&nonce_str=0123456789abcdef&"
        "openid=o1&out_trade_no=A1001&result_code=SUCCESS&return_code=SUCCESS&time_end=20260818001341&"
        "total_fee=10000&transaction_id=42"
    )

    def signature(said: dict[str, str]) -> str:
        return hashlib.md5(f"{joined(said)}&key={KEY}".encode()).hexdigest().upper()

    inner = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items())
    body = f"<xml>{inner}<sign>{signature(fields)}</sign></xml>".encode()

    def by_hand() -> object:
        said = {child.tag: child.text or "" for child in ET.fromstring(body)}
        given = said.pop("sign")
        must(hmac.compare_digest(signature(said), given))
        return said

    return by_hand, lambda: client.parse_payment_result(body)


def python_alipay_sdk() -> tuple[Work, Work]:
    """Alipay: RSA2 over the sorted fields of a form."""
    from alipay import AliPay
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key()
    pem, kinds = serialization.Encoding.PEM, serialization.PrivateFormat
    own = private.private_bytes(pem, kinds.TraditionalOpenSSL, serialization.NoEncryption()).decode()
    theirs = public.public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    client = AliPay("2021000000000000", "https://shop.example/notify", own, theirs)
    fields = form(
        "app_id=2021000000000000&buyer_id=2088&charset=utf-8&gmt_payment=2026-08-18 00:13:41&"
        "notify_id=0123456789abcdef&notify_type=trade_status_sync&out_trade_no=A1001&total_amount=100.00&"
        "trade_no=2026081822001&trade_status=TRADE_SUCCESS&version=1.0"
    )
    scheme = padding.PKCS1v15(), hashes.SHA256()
    made = base64.b64encode(private.sign(joined(fields).encode(), *scheme)).decode()
    body = urlencode({**fields, "sign_type": "RSA2", "sign": made}).encode()

    def by_hand() -> object:
        said = form(body.decode())
        given = base64.b64decode(said.pop("sign"))
        del said["sign_type"]
        public.verify(given, joined(said).encode(), *scheme)
        return said

    def library() -> object:
        said = form(body.decode())
        must(client.verify(said, said.pop("sign")))
        return said

    return by_hand, library


def epay_sdk() -> tuple[Work, Work]:
    """EPay: MD5 over the sorted fields of a query, with the sample of its protocol."""
    from epay_sdk import EPayClient, EPayConfig

    client = EPayClient(EPayConfig(pid="1001", key=KEY, base_url="https://epay.example"))
    fields = form(
        "money=1.00&name=VIP会员&out_trade_no=20160806151343349&pid=1001&type=alipay&"
        "trade_no=20160806151343349021&trade_status=TRADE_SUCCESS"
    )

    def signature(said: dict[str, str]) -> str:
        return hashlib.md5((joined(said) + KEY).encode()).hexdigest()

    body = urlencode({**fields, "sign": signature(fields), "sign_type": "MD5"}).encode()

    def by_hand() -> object:
        said = form(body.decode())
        given = said.pop("sign")
        del said["sign_type"]
        must(hmac.compare_digest(signature(said), given))
        return said

    return by_hand, lambda: client.verify_callback(form(body.decode()))


def django_payments() -> tuple[Work, Work]:
    """django-payments with Dotpay: SHA-256 over a form's values in a given order; the row in the database is a stub."""
    from django.conf import settings

    settings.configure(PAYMENT_HOST="shop.example", USE_I18N=False, INSTALLED_APPS=["payments"], SECRET_KEY=KEY)
    import django

    django.setup()
    from django.http import QueryDict
    from payments.dotpay import DotpayProvider

    provider = DotpayProvider(seller_id="1001", pin=KEY)
    fields = form(
        "id=1001&operation_number=M1001&operation_type=payment&operation_status=completed&"
        "operation_amount=100.00&operation_currency=CNY&operation_datetime=2026-08-18 00:13:41&control=1&"
        "description=Tea&email=payer@shop.example"
    )
    names = tuple(fields)

    def signature(said: dict[str, str]) -> str:
        return hashlib.sha256((KEY + "".join(said[name] for name in names)).encode()).hexdigest()

    body = urlencode({**fields, "signature": signature(fields)}).encode()
    row = SimpleNamespace(id=1, total="100.00", save=lambda: None, change_status=lambda _status: None)

    def by_hand() -> object:
        said = form(body.decode())
        must(hmac.compare_digest(signature(said), said["signature"]) and said["control"] == "1")
        return said

    def library() -> object:
        answer = provider.process_data(row, SimpleNamespace(POST=QueryDict(body)))
        must(answer.status_code == 200)
        return answer

    return by_hand, library


PEERS = {
    "stripe": stripe,
    "django-payments": django_payments,
    "python-alipay-sdk": python_alipay_sdk,
    "wechatpy": wechatpy,
    "epay-sdk": epay_sdk,
    "standardwebhooks": standardwebhooks,
}


def main() -> None:
    """Prints each library's ratio to code written by hand for its format, and to payhub."""
    logging.getLogger("django.request").setLevel(logging.ERROR)
    hub = Hub(load_accounts(accounts(1)))
    body = floors.notify_body()
    callback = Callback("POST", FORM, b"", body)
    works: dict[str, tuple[Work, Work]] = {}
    table = Table("", "x by hand", "x payhub", title="1. The peers, each in its own format", title_justify="left")
    missing = []
    with console.status("1. The peers"):
        works["payhub"] = (lambda: floors.callback(body)), (lambda: hub.parse_callback("shop", callback, expect=ORDER))
        for name, prepare in PEERS.items():
            try:
                works[name] = prepare()
            except ImportError:
                missing.append(name)
        for name, (by_hand, library) in works.items():
            found = compare({"by hand": by_hand, "it": library, "payhub": works["payhub"][1]}, calls=100, rounds=20)
            ratio, ours = found["it"][1], found["payhub"][1]
            table.add_row(name, f"{ratio:.2f} x", "" if name == "payhub" else f"{ratio / ours:.2f} x")
    for name in missing:
        table.add_row(name, "not installed", "")
    console.print(table)


if __name__ == "__main__":
    pin()
    main()
