"""Recorded callbacks: all that came is kept, readable and replayable, private and bounded."""

from __future__ import annotations

import hmac
import json
import stat
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.gateway import FORM
from tests.web.shops import Shop, Till

from payhub_core import (
    BadSignature,
    Callback,
    CallbackKind,
    ConfigError,
    Hub,
    MalformedCallback,
    Notification,
    Order,
    PayhubError,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Reply,
    hookimpl,
    load_config,
)
from payhub_core.checkout import Checkout
from payhub_core.kit import AccountSettings, Secrets, check_age, made_by_any
from payhub_core.recorder import Recorder, load_callback
from payhub_core.web import asgi, wsgi

ACKNOWLEDGED, REFUSED = Reply(b"SUCCESS"), Reply(b"refused", status_code=400)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "callbacks"


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_genuine_callback_replays_from_its_file(folder: Path, hub: Any, notify: Callback) -> None:
    """In a test, or anywhere else: the hub says what it said when it came."""
    account, callback = load_callback(Recorder(folder).save("shop", notify, ACKNOWLEDGED))
    assert (account, callback.body, callback.kind) == ("shop", notify.body, CallbackKind.NOTIFY)
    payment = hub.parse_callback(account, callback).payment
    assert (payment.reference, payment.status) == ("A1001", PaymentStatus.PAID)


@pytest.mark.parametrize(
    ("recorded_at", "error"),
    [
        ("2026-03-01T04:59:00+00:00", None),
        ("2026-03-01T05:06:00+00:00", BadSignature),
        ("2026-03-01T04:59:00", BadSignature),
        ("yesterday", BadSignature),
        (["2026"], BadSignature),
    ],
)
def test_a_time_inside_a_message_is_judged_by_when_it_was_recorded(
    folder: Path, notify: Callback, recorded_at: object, error: type[Exception] | None
) -> None:
    """Years later too; a file that does not say when is judged by now."""
    path = Recorder(folder).save("shop", notify, ACKNOWLEDGED)
    assert load_callback(path)[1].recorded_at == datetime.fromisoformat(json.loads(path.read_text())["recorded_at"])
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "recorded_at": recorded_at}), "utf-8")
    callback = load_callback(path)[1]
    stated = str(int(datetime(2026, 3, 1, 5, tzinfo=UTC).timestamp()))
    with pytest.raises(error) if error else nullcontext():
        check_age(callback, stated)
    with pytest.raises(BadSignature):
        check_age(notify, stated)


def test_a_file_can_be_read_by_a_human(folder: Path, notify: Callback, platform: Any) -> None:
    """JSON with the body as text, what was answered, and a word on how private it is; the secret is not in it."""
    text = Recorder(folder).save("shop", notify, ACKNOWLEDGED).read_text("utf-8")
    content = json.loads(text)
    assert content["body"] == notify.body.decode()
    assert (content["account"], content["kind"], content["method"]) == ("shop", "notify", "POST")
    assert content["headers"] == {"Content-Type": "application/x-www-form-urlencoded"}
    assert content["reply"] == {"status_code": 200, "content_type": "text/plain", "body": "SUCCESS"}
    assert content["recorded_at"].endswith("+00:00")
    assert "private" in content["note"]
    assert platform.secret not in text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        b"\x1b[2Jattach=1",
        "茶=1".encode(),
        "茶=1".encode("gbk"),
        b"a\r\nb",
        "\u202e".encode(),
        b'{"a":"b"}\n',
        bytes(range(256)),
        b"\xed\xa0\x80",
    ],
)
def test_any_bytes_come_back_as_they_were(data: bytes, folder: Path) -> None:
    """Body and query alike; what is not plain text is base64, so that no terminal is told what to do."""
    callback = Callback("POST", {"content-type": "x"}, data, data, CallbackKind.RETURN)
    path = Recorder(folder).save("shop", callback, REFUSED)
    account, loaded = load_callback(path)
    assert (account, loaded.query, loaded.body, loaded.kind) == ("shop", data, data, CallbackKind.RETURN)
    assert path.read_text("utf-8").replace("\n", "").isprintable()


def test_only_the_headers_asked_for_are_kept(folder: Path) -> None:
    """The content type; and the signature where a gateway puts it into a header."""
    headers = {"content-type": "x", "authorization": "Basic c2VjcmV0", "X-Gateway-Sign": "abc"}
    callback = Callback("POST", headers, b"", b"")
    assert load_callback(Recorder(folder).save("shop", callback, REFUSED))[1].headers == {"content-type": "x"}
    kept = Recorder(folder).save("shop", callback, REFUSED, ["X-gateway-sign"])
    assert load_callback(kept)[1].headers == {"content-type": "x", "X-Gateway-Sign": "abc"}


class Bank(AccountSettings):
    """A gateway that signs in a header."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="bank", currencies=frozenset({"CNY"}), identity=("key",), callback_headers=frozenset({"X-Bank-Sign"})
    )
    key: Secrets

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        raise NotImplementedError

    @hookimpl
    def query(self, reference: str) -> Payment:
        raise NotImplementedError

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        given = callback.header("x-bank-sign")
        if not made_by_any(self.key, lambda key: hmac.digest(bytes(key), callback.body, "sha256"), given):
            raise BadSignature("no key of this account signed the message")
        return Notification(callback.kind, Payment(reference="A1001", status=PaymentStatus.PAID), Reply(b"OK"))


@pytest.mark.anyio
async def test_a_callback_that_a_header_signs_can_be_replayed(folder: Path) -> None:
    """The provider declares the header; a folder is all that the endpoint has to be told, in either interface."""
    key = "a-key-of-sixteen-characters"
    signature = hmac.digest(key.encode(), b"paid", "sha256").hex()
    headers = {"X-Bank-Sign": signature, "Authorization": "Basic c2VjcmV0", "X-Forwarded-For": "192.0.2.1"}
    with Hub({"bank": Bank(key=key)}) as hub:
        till = Till(hub)
        wsgi(till, record=str(folder)).answer("POST", "bank/notify", headers, "", b"paid")
        await asgi(till, record=folder).answer("POST", "bank/notify", headers, "", b"paid")
        wsgi(till, record=folder).answer("POST", "bank_of_none/notify", headers, "", b"paid")
        *kept, unknown = [load_callback(path) for path in files(folder)]
        assert len(kept) == 2
        for account, callback in kept:
            assert callback.headers == {"x-bank-sign": signature}
            payment = hub.parse_callback(account, callback).payment
            assert payment is not None
            assert payment.status is PaymentStatus.PAID
        assert unknown[1].headers == {}


def test_a_header_that_holds_a_secret_cannot_be_declared() -> None:
    """A recording holds none."""
    with pytest.raises(ConfigError, match="'authorization' holds a secret"):
        ProviderInfo(
            name="b", currencies=frozenset({"CNY"}), identity=(), callback_headers=frozenset({"Authorization"})
        )


def test_the_recorder_is_a_setting(tmp_path: Path, till: Any, notify: Callback) -> None:
    """Of the file or of the environment; without it nothing is recorded."""
    (tmp_path / "payhub.toml").write_text(f'recorder = "{tmp_path / "callbacks"}"')
    for setting in (None, "", load_config(tmp_path / "payhub.toml").recorder):
        wsgi(till, record=setting).answer("POST", "shop/notify", notify.headers, "", notify.body)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["callbacks"]
    assert len(files(tmp_path / "callbacks")) == 1


def test_files_are_for_their_owner_alone(folder: Path, notify: Callback) -> None:
    """0600 in a folder of 0700."""
    path = Recorder(folder).save("shop", notify, ACKNOWLEDGED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_newest_are_kept_and_garbage_does_not_push_out_what_is_genuine(folder: Path, notify: Callback) -> None:
    """So many that were acknowledged, as many of the others, and no file of yours is touched."""
    recorder = Recorder(folder, keep=3)
    folder.mkdir()
    (folder / "notes.json").touch()
    good = [recorder.save("shop", notify, ACKNOWLEDGED) for _ in range(4)]
    bad = [recorder.save("shop", notify, REFUSED) for _ in range(20)]
    assert files(folder) == sorted([*good[1:], *bad[-3:], folder / "notes.json"])


def test_a_full_folder_is_not_listed_at_each_callback(
    folder: Path, notify: Callback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That would cost more than all else that is done with one."""
    listed: list[Path] = []
    iterdir = Path.iterdir

    def counted(path: Path) -> Iterator[Path]:
        listed.append(path)
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", counted)
    recorder = Recorder(folder, keep=100)
    saved = [recorder.save("shop", notify, ACKNOWLEDGED) for _ in range(250)]
    assert len(listed) == 50
    kept = files(folder)
    assert 100 <= len(kept) < 105
    assert kept == saved[-len(kept) :]


def test_a_file_is_bounded_whatever_comes(folder: Path) -> None:
    """The body by the endpoint's limit, a header and a reply by the recorder."""
    callback = Callback("POST", {"content-type": "x" * 100_000}, b"", b"\xff" * 65536)
    path = Recorder(folder).save("shop", callback, Reply(b"y" * 100_000))
    assert path.stat().st_size < 100_000


def test_an_account_name_is_no_path(folder: Path, notify: Callback) -> None:
    """Whoever calls it, the file stays in its folder."""
    assert Recorder(folder).save("../../" + "x" * 500, notify, REFUSED).parent == folder


@pytest.mark.anyio
async def test_the_endpoint_records_what_came_and_what_was_answered(
    folder: Path, till: Any, async_till: Any, hub: Any, paid: bytes, came_back: bytes, platform: Any
) -> None:
    """Genuine, forged, garbage, and for an unknown account; over ASGI as over WSGI."""
    garbage = b"\xff\x00garbage"
    forged = platform.body(platform.notify(), secret="another-shops-secret-key")
    over_wsgi, over_asgi = wsgi(till, record=Recorder(folder)), asgi(async_till, record=Recorder(folder))
    form = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": "session=1"}
    for path, body in [("shop/notify", paid), ("shop/notify", forged), ("shop/notify", garbage), ("no/notify", paid)]:
        over_wsgi.answer("POST", path, form, "lang=zh", body)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/shop/return", "headers": [], "query_string": came_back}
    await over_asgi(scope, receive, send)

    contents = [json.loads(path.read_text("utf-8")) for path in files(folder)]
    assert [content["reply"]["status_code"] for content in contents] == [200, 400, 400, 404, 200]
    assert contents[0]["reply"]["body"] == "SUCCESS"
    assert contents[0]["query"] == "lang=zh"
    assert "session" not in str(contents)
    genuine, refused, odd, _, back = (load_callback(path)[1] for path in files(folder))
    assert hub.parse_callback("shop", genuine).payment.status is PaymentStatus.PAID
    with pytest.raises(BadSignature):
        hub.parse_callback("shop", refused)
    with pytest.raises(MalformedCallback):
        hub.parse_callback("shop", odd)
    assert hub.parse_callback("shop", back).payment.claimed_status is PaymentStatus.PAID


def test_why_a_notify_was_not_acknowledged_is_recorded(
    tmp_path: Path, folder: Path, open_shop: Callable[[Path], Shop], platform: Any
) -> None:
    """What verifying it again cannot tell: the order, the sum, the handler. No signature, nor others' words."""
    shop = open_shop(tmp_path)
    shop.start("A1001")

    def fail(*_arguments: object) -> None:
        raise KeyError("hidden")

    app = wsgi(Checkout(shop.hub, shop.ledger, handler=fail), record=folder)
    fields = platform.notify()
    messages = [
        ("shop", platform.body(platform.notify(order_no="A9"))),
        ("shop", platform.body(platform.notify(amount="1.00"))),
        ("shop", platform.body(fields, secret="another-shops-secret-key")),
        ("shop", platform.body(fields)),
        ("no", platform.body(fields)),
    ]
    for account, body in messages:
        app.answer("POST", f"{account}/notify", {"content-type": FORM}, "", body)
    wsgi(shop.checkout, record=folder).answer("POST", "shop/notify", {"content-type": FORM}, "", messages[3][1])
    shop.ledger.close()
    replies = [json.loads(path.read_text("utf-8"))["reply"] for path in files(folder)]
    assert [reply["status_code"] for reply in replies] == [400, 400, 400, 503, 404, 200]
    *reasons, good = [reply.get("reason") for reply in replies]
    assert good is None
    assert reasons == [
        "WrongOrder: no such order was started here",
        "WrongAmount: order 'A1001' is about 100.00 CNY, the message about 0.01 CNY",
        "BadSignature: no key of this account made the signature",
        "the handler raised KeyError",
        "ConfigError: there is no account 'no'",
    ]
    assert not any(platform.sign(fields) in reason or platform.secret in reason for reason in reasons)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(BadSignature("no key made it"), "BadSignature: no key made it"), (RuntimeError("hidden"), "RuntimeError")],
)
def test_why_a_receiver_of_your_own_refused_is_recorded(
    folder: Path, till: Any, notify: Callback, error: Exception, reason: str
) -> None:
    """Of an error that is not payhub's the type alone."""
    till.fail = error
    wsgi(till, record=folder).answer("POST", "shop/notify", notify.headers, "", notify.body)
    (path,) = files(folder)
    assert json.loads(path.read_text("utf-8"))["reply"]["reason"] == reason


def test_a_recording_that_fails_does_not_cost_the_acknowledgement(
    tmp_path: Path, till: Any, notify: Callback, caplog: pytest.LogCaptureFixture
) -> None:
    """The payment is committed by then: a full disk is a line in the log."""
    (tmp_path / "file").touch()
    app = wsgi(till, record=Recorder(tmp_path / "file"))
    answer = app.answer("POST", "shop/notify", notify.headers, "", notify.body)
    assert answer.body == b"SUCCESS"
    assert "could not be recorded" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100000,
        "{}",
        '{"account": 5, "method": "POST"}',
        '{"account":"shop","method":"POST","headers":{},"query":"","body":{"base64":"%%"},"kind":"notify"}',
        '{"account":"shop","method":"POST","headers":[],"query":"","body":"","kind":"notify"}',
        '{"account":"shop","method":"POST","headers":{},"query":"","body":5,"kind":"notify"}',
        '{"account":"shop","method":"POST","headers":{},"query":"","body":"","kind":"elsewhere"}',
    ],
)
def test_a_file_that_is_no_recorded_callback_is_told_so(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One error of ours, which names the file."""
    monkeypatch.chdir(tmp_path)  # a long path is quoted by its beginning
    path = Path("other.json")
    path.write_text(content)
    with pytest.raises(PayhubError, match=r"other\.json is no recorded callback"):
        load_callback(path)


def test_a_file_that_is_missing_is_told_so(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(PayhubError, match=r"cannot be read: No such file"):
        load_callback(tmp_path / "missing.json")
