"""Notifies: what they say, and how they are sent again."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from tests.sandbox.parties import APPID, Customer, Eventually, Shop, digest

from payhub_sandbox import PUBLIC_MERCHANTS, Merchant, SandboxProcess, Settings
from payhub_sandbox.signature import callback_signature


def test_a_notify_is_signed_as_section_5_2(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """All fields of the printed example, fen with two decimals, ``attach`` as it was sent, one sign over the lot."""
    number = customer.create(attach="%E8%8C%B6")["platform_order_no"]
    sandbox.pay(number, amount=9950)
    (request,) = shop.received
    assert (request.method, request.content_type) == ("POST", "application/x-www-form-urlencoded")
    paid_at = request.fields["pay_time"]
    text = (
        f"actual_amount=9950.00&amount=10000.00&appid=gpu10000000&attach=%E8%8C%B6&order_no=A1001&pay_status=1"
        f"&pay_time={paid_at}&platform_order_no={number}&secret=sandbox-secret-0-not-for-money"
    )
    assert request.fields == {
        "actual_amount": "9950.00",
        "amount": "10000.00",
        "appid": APPID,
        "attach": "%E8%8C%B6",
        "order_no": "A1001",
        "pay_status": "1",
        "pay_time": paid_at,
        "platform_order_no": number,
        "sign": digest(text),
    }


def test_an_empty_attach_is_sent_and_signed(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """The field is there although it says nothing."""
    number = customer.create()["platform_order_no"]
    sandbox.pay(number)
    (fields,) = shop.notifies()
    text = (
        f"actual_amount=10000.00&amount=10000.00&appid=gpu10000000&attach=&order_no=A1001&pay_status=1"
        f"&pay_time={fields['pay_time']}&platform_order_no={number}&secret=sandbox-secret-0-not-for-money"
    )
    assert fields["attach"] == ""
    assert fields["sign"] == digest(text)


def test_a_failed_payment_notifies_without_a_time(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """Nothing was paid, at no time."""
    sandbox.pay(customer.create()["platform_order_no"], action="fail")
    (fields,) = shop.notifies()
    assert (fields["pay_status"], fields["actual_amount"], fields["pay_time"]) == ("0", "0.00", "")


def test_a_notify_url_keeps_its_query(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """The shop's own query arrives in the address, and not in the form."""
    sandbox.pay(customer.create(notify_url=f"{shop.url}/notify?shop=1&lang=zh")["platform_order_no"])
    (request,) = shop.received
    assert request.query == "shop=1&lang=zh"
    assert "shop" not in request.fields


def test_an_acknowledged_notify_is_not_sent_again(
    customer: Customer, shop: Shop, sandbox: SandboxProcess, eventually: Eventually
) -> None:
    """``SUCCESS`` ends it; a later order's resends show that there was time for one."""
    sandbox.pay(customer.create()["platform_order_no"])
    shop.replies = [(200, b"no"), (200, b"no"), (200, b"SUCCESS")]
    sandbox.pay(customer.create(order_no="A1002")["platform_order_no"])
    eventually(lambda: len(shop.notifies()) == 4)
    assert [fields["order_no"] for fields in shop.notifies()] == ["A1001", "A1002", "A1002", "A1002"]


@pytest.mark.parametrize(
    "reply",
    [
        (200, b"success"),
        (200, b"SUCCESS\n"),
        (200, b""),
        (200, b'"SUCCESS"'),
        (500, b"SUCCESS"),
        (201, b"SUCCESS"),
        (200, b"\xff" * 300),
        (200, b"SUCCESS" * 2000),
    ],
)
def test_anything_but_success_is_resent(
    customer: Customer, shop: Shop, sandbox: SandboxProcess, eventually: Eventually, reply: tuple[int, bytes]
) -> None:
    """Exactly the seven capitals with HTTP 200 count; the resend is the same message."""
    shop.replies = [reply, (200, b"SUCCESS")]
    number = customer.create()["platform_order_no"]
    sandbox.pay(number)
    eventually(lambda: len(sandbox.deliveries(number)) == 2)
    first, second = sandbox.deliveries(number)
    assert not first["acknowledged"]
    assert first["http_status"] == reply[0]
    assert first["reply"] == reply[1].decode(errors="replace")[:200]
    assert second["acknowledged"]
    assert shop.notifies()[0] == shop.notifies()[1]


def test_resending_keeps_its_interval_and_ends_after_five(
    customer: Customer, shop: Shop, sandbox: SandboxProcess, eventually: Eventually
) -> None:
    """One notify and five more, then silence: by the time another order had six, this one has no seventh."""
    shop.replies = [(200, b"no")]
    first, second = (customer.create(order_no=order_no)["platform_order_no"] for order_no in ("A1", "A2"))
    sandbox.pay(first)
    eventually(lambda: len(sandbox.deliveries(first)) == 6)
    sandbox.pay(second)
    eventually(lambda: len(sandbox.deliveries(second)) == 6)
    moments = [request.moment for request in shop.received if request.fields["order_no"] == "A1"]
    assert len(moments) == len(sandbox.deliveries(first)) == 6
    assert all(after - before >= 0.19 for before, after in pairwise(moments))


def test_a_resend_repeats_the_state_it_began_with(
    customer: Customer, shop: Shop, sandbox: SandboxProcess, eventually: Eventually
) -> None:
    """The failure goes on arriving after the payment, as late messages do."""
    shop.replies = [(200, b"no"), (200, b"SUCCESS")]
    number = customer.create()["platform_order_no"]
    sandbox.pay(number, action="fail")
    sandbox.pay(number)
    eventually(lambda: len(shop.notifies()) == 3)
    assert [fields["pay_status"] for fields in shop.notifies()] == ["0", "1", "0"]


def test_a_redirect_is_not_followed(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """The signed message goes to the address that the merchant named, and nowhere else."""
    shop.replies = [(302, b"")]
    shop.headers = {"location": f"{shop.url}/elsewhere"}
    sandbox.pay(customer.create()["platform_order_no"])
    assert [request.path for request in shop.received] == ["/notify"]


def test_a_shop_that_does_not_answer_is_given_up(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """The attempt ends with the time limit and says so."""
    shop.open.clear()
    deliveries = sandbox.pay(customer.create()["platform_order_no"])["deliveries"]
    assert deliveries[0]["error"] == "no complete reply within 1 seconds"
    assert deliveries[0]["http_status"] is None


def test_a_shop_that_is_down_is_recorded(customer: Customer, sandbox: SandboxProcess) -> None:
    """A refused connection is an attempt like another."""
    number = customer.create(notify_url="http://127.0.0.1:1/notify")["platform_order_no"]
    assert "ConnectError" in sandbox.pay(number)["deliveries"][0]["error"]


@pytest.mark.parametrize("host", ["shop.example", "192.0.2.1", "localhost.example", "127.0.0.1.example"])
def test_nothing_is_sent_beyond_this_machine(customer: Customer, sandbox: SandboxProcess, host: str) -> None:
    """An order may name any address; the notify for it does not leave."""
    number = customer.create(notify_url=f"http://{host}/notify")["platform_order_no"]
    assert "not a loopback address" in sandbox.pay(number)["deliveries"][0]["error"]


def test_a_notify_that_failed_is_told_once(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    """On stderr, for each order and reason; not the address's query, where a shop may keep a token."""
    with SandboxProcess(Settings(notify_timeout=1.0)) as sandbox:
        customer = Customer(sandbox.url, shop)
        for order_no, url in {
            "A1": "http://shop.example/notify?token=not-for-logs",
            "A2": f"{shop.url}/notify",
            "A3": f"{shop.url}/notify",
        }.items():
            shop.replies = [(200, b"SUCCESS") if order_no == "A3" else (500, b"no")]
            number = customer.create(order_no=order_no, notify_url=url)["platform_order_no"]
            sandbox.pay(number)
            sandbox.notify(number)
        sandbox.fault("notify", "lost")
        sandbox.notify(number)
        customer.http.close()
    why = "not a loopback address; start the sandbox with --allow-remote to send there"
    assert capfd.readouterr().err.splitlines() == [
        f"payhub sandbox: notify of A1 to http://shop.example/notify failed: {why}",
        f"payhub sandbox: notify of A2 to {shop.url}/notify failed: HTTP 500, and the body is not SUCCESS",
    ]


def test_an_order_can_be_notified_by_hand(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """Once, as the order stands: even before anything was paid."""
    number = customer.create()["platform_order_no"]
    attempt = sandbox.notify(number)
    assert attempt["acknowledged"]
    assert attempt["reply"] == "SUCCESS"
    assert [fields["pay_status"] for fields in shop.notifies()] == ["-1"]


def test_an_order_can_be_paid_in_silence(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """Without a notify only a query can tell."""
    sandbox.pay(customer.create()["platform_order_no"], notify=False)
    assert shop.received == []
    assert customer.check().json()["data"]["pay_status"] == 1


def test_only_the_last_deliveries_are_kept(customer: Customer, sandbox: SandboxProcess) -> None:
    """A long run does not fill the memory."""
    number = customer.create()["platform_order_no"]
    for _ in range(52):
        sandbox.notify(number)
    assert len(sandbox.deliveries(number)) == 50


def test_duplicate_notifies_come_one_after_the_other(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """Each waits for the answer to the one before."""
    sandbox.fault("notify", "duplicate", count=3)
    deliveries = sandbox.pay(customer.create()["platform_order_no"])["deliveries"]
    assert [delivery["acknowledged"] for delivery in deliveries] == [True] * 3
    assert shop.most_at_once == 1
    assert shop.notifies() == shop.notifies()[:1] * 3


def test_concurrent_notifies_come_all_at_once(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """The shop answers none until all are there, or the first would be over before the last."""
    sandbox.fault("notify", "concurrent", count=5)
    shop.wait_for = 5
    deliveries = sandbox.pay(customer.create()["platform_order_no"])["deliveries"]
    assert [delivery["acknowledged"] for delivery in deliveries] == [True] * 5
    assert shop.most_at_once == 5
    assert shop.notifies() == shop.notifies()[:1] * 5


def test_a_lost_notify_arrives_as_its_resend(
    customer: Customer, shop: Shop, sandbox: SandboxProcess, eventually: Eventually
) -> None:
    """The network eats one attempt."""
    sandbox.fault("notify", "lost")
    number = customer.create()["platform_order_no"]
    assert sandbox.pay(number)["deliveries"][0]["error"] == "fault: lost, nothing was sent"
    assert shop.received == []
    eventually(lambda: len(shop.received) == 1)


def test_a_cut_notify_has_arrived_but_is_resent(
    customer: Customer, shop: Shop, sandbox: SandboxProcess, eventually: Eventually
) -> None:
    """The shop's acknowledgement gets lost, so it hears of the payment again."""
    sandbox.fault("notify", "cut")
    sandbox.pay(customer.create()["platform_order_no"])
    eventually(lambda: len(shop.received) == 2)


def test_a_forged_notify_has_a_wrong_sign(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """Well formed, and not made with the merchant's key; the next one is genuine again."""
    number = customer.create()["platform_order_no"]
    sandbox.fault("notify", "forged")
    sandbox.pay(number)
    sandbox.notify(number)
    forged, genuine = shop.notifies()
    assert len(forged["sign"]) == 32
    assert forged.pop("sign") != genuine.pop("sign")
    assert forged == genuine


def test_extra_fields_are_signed_on_both_sides_of_the_secret(
    customer: Customer, shop: Shop, sandbox: SandboxProcess
) -> None:
    """Fields that the protocol does not list take part in the sort."""
    sandbox.fault("notify", "extra_fields", fields={"aaa": "1", "user_id": "9"})
    number = customer.create()["platform_order_no"]
    sandbox.pay(number)
    (fields,) = shop.notifies()
    text = (
        f"aaa=1&actual_amount=10000.00&amount=10000.00&appid=gpu10000000&attach=&order_no=A1001&pay_status=1"
        f"&pay_time={fields['pay_time']}&platform_order_no={number}&secret=sandbox-secret-0-not-for-money&user_id=9"
    )
    assert fields["sign"] == digest(text)


def test_a_notify_may_be_about_another_order(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """Validly signed, and still not about the order in question."""
    sandbox.fault("notify", "other_order")
    sandbox.pay(customer.create()["platform_order_no"])
    (fields,) = shop.notifies()
    sign = fields.pop("sign")
    assert fields["order_no"] == "OTHER-1"
    assert sign == callback_signature(fields, PUBLIC_MERCHANTS[APPID])


def test_a_slow_notify_is_sent_late(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """The notify arrives no sooner than the fault says."""
    sandbox.fault("notify", "slow", seconds=0.3)
    number = customer.create()["platform_order_no"]
    started = time.monotonic()
    sandbox.pay(number)
    assert shop.received[0].moment - started >= 0.29


def test_a_reset_stops_resending(
    customer: Customer, shop: Shop, sandbox: SandboxProcess, eventually: Eventually
) -> None:
    """What happened before a reset does not disturb what comes after."""
    shop.replies = [(200, b"no")]
    sandbox.pay(customer.create(order_no="OLD")["platform_order_no"])
    sandbox.reset()
    sandbox.pay(customer.create(order_no="NEW")["platform_order_no"])
    eventually(lambda: len(shop.notifies()) == 7)
    assert [fields["order_no"] for fields in shop.notifies()] == ["OLD"] + ["NEW"] * 6


def test_notifies_follow_the_merchant(shop: Shop) -> None:
    """A sandbox knows the merchants that it was told, and no others."""
    with SandboxProcess(Settings(merchants={"gpu7": Merchant("the-seventh-secret")})) as sandbox:
        customer = Customer(sandbox.url, shop)
        assert customer.post().json()["message"] == "商户不存在"
        customer.http.close()
