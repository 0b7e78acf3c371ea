"""A canary: the secrets of two accounts, sought in all that an order's whole life leaves behind."""

from __future__ import annotations

import copy
import itertools
import json
import logging
import pickle
import subprocess
import sys
import traceback
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from click.testing import CliRunner
from pydantic import BaseModel
from rich.pretty import pretty_repr
from rich.traceback import Traceback
from tests.e2e.conftest import EPAY, MERCHANTS
from tests.web.servers import serve_wsgi

from payhub_core import (
    Callback,
    CallbackKind,
    Hub,
    Money,
    Order,
    PayhubError,
    PaymentMethod,
    PaymentStatus,
    RedactSignatures,
    load_accounts,
    load_config,
)
from payhub_core.checkout import Checkout
from payhub_core.cli.commands import payhub
from payhub_core.kit import FORM
from payhub_core.ledger import Ledger
from payhub_core.recorder import Recorder
from payhub_core.testing import cassette
from payhub_core.web import wsgi

APPID, MERCHANT = MERCHANTS["shop"]
EPAY_KEY = "simulator-key-not-for-money"  # the simulator's own
#: The keys that sign, and one of before a rotation.
CANARIES = (MERCHANT.secret, "canary-of-before-the-rotation-1", EPAY_KEY)
#: Where the order has to be seen, so that the search is one.
PLACES = {"repr", "asdict", "pickle", "error", "traceback", "log", "command", "file"}
#: A reserved port, at which nobody listens.
NOBODY = "http://127.0.0.1:1"


def spellings(secret: str) -> Iterator[bytes]:
    """How a secret could be written: as it is, reversed quoting aside, and in the common encodings."""
    raw = secret.encode()
    yield from (raw, raw.hex().encode(), quote_plus(secret).encode(), json.dumps(secret).encode()[1:-1])
    for shift in range(3):  # base64 of it anywhere inside other bytes: the characters that its neighbours leave alone
        yield b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4]
    yield from (raw.decode().encode(encoding) for encoding in ("utf-16-le", "utf-32-le"))


NEEDLES = tuple({needle.lower() for canary in CANARIES for needle in spellings(canary)})


class Seen:
    """All that somebody could look at, by the kind of place."""

    def __init__(self) -> None:
        self.places: defaultdict[str, list[bytes]] = defaultdict(list)

    def add(self, place: str, *contents: object) -> None:
        self.places[place] += [one if isinstance(one, bytes) else str(one).encode() for one in contents]

    def value(self, value: Any) -> None:
        """A value that the library returned: in every way to write it down."""
        self.add(
            "repr", repr(value), str(value), pretty_repr(value), repr(vars(value) if hasattr(value, "__dict__") else "")
        )
        if isinstance(value, BaseModel):
            self.add("asdict", repr(value.model_dump()), value.model_dump_json())
        elif is_dataclass(value) and not isinstance(value, type):
            self.add("asdict", repr(asdict(value)))
        try:
            self.add("pickle", *(pickle.dumps(value, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)))
            self.add("pickle", repr(copy.deepcopy(value)))
        except (TypeError, AttributeError, pickle.PicklingError) as refused:  # no pickle, no secret in one
            self.add("error", repr(refused))

    def error(self, error: BaseException) -> None:
        """An error, as a reporter sends it: its text, and each frame with its local variables."""
        self.add("error", repr(error), str(error), repr(vars(error)))
        lines = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.add("traceback", *lines.format())
        shown = Traceback.extract(
            type(error),
            error,
            error.__traceback__,  # rich writes out what stands in attributes as well
            show_locals=True,
            locals_max_length=None,  # type: ignore[arg-type]
            locals_max_string=None,  # type: ignore[arg-type]
        )
        for frame in (frame for stack in shown.stacks for frame in stack.frames):
            self.add("traceback", *map(str, (frame.locals or {}).values()))
        self.value(error)

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The result of a call that may fail; either is kept."""
        try:
            result = function(*args, **options)
        except PayhubError as error:
            self.error(error)
            return None
        self.value(result)
        return result

    def leaks(self) -> list[str]:
        """Where a secret is, with what stands around it."""
        return [
            f"{place}: {content[max(at - 80, 0) : at + 80]!r}"
            for place, contents in self.places.items()
            for content in contents
            for needle in NEEDLES
            if (at := content.lower().find(needle)) >= 0
        ]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def epay() -> Iterator[str]:
    """The address of EPay's simulator."""
    command = [sys.executable, str(EPAY / "tests" / "simulator.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


@contextmanager
def everything_logged(seen: Seen, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Every logger at DEBUG, shown as documented: behind the filter."""
    lines: list[str] = []
    names: set[str] = set()

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            names.add(record.name.split(".")[0])
            lines.append(f"{self.format(record)} {vars(record)}")

    handler = Kept()
    handler.addFilter(RedactSignatures())
    logging.getLogger().addHandler(handler)
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "sqlalchemy"):  # which has a level of its own
        yield
    logging.getLogger().removeHandler(handler)
    seen.add("log", *lines)
    assert {"httpx", "httpcore", "payhub", "sqlalchemy"} <= names


def written(folder: Path, gpu: str, epay: str) -> Path:
    """A configuration without secrets, which are in the environment."""
    config = folder / "payhub.toml"
    config.write_text(
        f'ledger = "sqlite:///{folder}/ledger.db"\n'
        f'[accounts.shop]\nprovider = "gpu"\nbase_url = "{gpu}"\nappid = "{APPID}"\n'
        f'[accounts.easy]\nprovider = "epay"\nbase_url = "{epay}"\npid = "1001"\n'
        f'[accounts.gone]\nprovider = "epay"\nbase_url = "{NOBODY}"\npid = "1002"\n'
        f'[accounts.lost]\nprovider = "gpu"\nbase_url = "{NOBODY}"\nappid = "gone"\n'
    )
    return config


class Life:
    """Orders of both accounts: created, paid, notified, returned, queried, refunded; and each of these failing."""

    def __init__(self, seen: Seen, checkout: Checkout, address: str) -> None:
        self.seen = seen
        self.checkout = checkout
        self.address = address

    def start(self, account: str, reference: str) -> Any:
        order = Order(
            reference=reference,
            amount=Money.of("100.00", "CNY"),
            description="Tea",
            method=PaymentMethod.ALIPAY_H5,
            notify_url=f"{self.address}/{account}/notify",
            return_url=f"{self.address}/{account}/return/{reference}",
        )
        self.seen.value(order)
        return self.seen.call(self.checkout.start, account, order)

    def paid(self, sandbox: Any, epay: str) -> None:
        """One order each, paid: notified of over HTTP, the payer's browser back in the shop."""
        with httpx.Client(trust_env=False, follow_redirects=True) as browser:
            sandbox.pay(self.start("shop", "A1001").gateway_id)
            self.seen.add("page", browser.get(f"{self.address}/shop/return/A1001").content)
            number = self.start("easy", "E1001").gateway_id
            self.seen.add("page", browser.post(f"{epay}/pay/{number}").content)
            form = {"order_no": "A1001", "out_trade_no": "E1001", "sign": "0" * 32, "pid": "1001", "appid": APPID}
            for address in ("shop/notify", "shop/return/A1001", "easy/notify", "easy/return/E1001"):
                forged = [browser.get(f"{self.address}/{address}", params=form)]
                forged.append(browser.post(f"{self.address}/{address}", data=form))
                self.seen.add("page", *(answered.content for answered in forged))
        for account, reference in (("shop", "A1001"), ("easy", "E1001")):
            stored = self.checkout.ledger.payment(account, reference)
            assert stored
            assert stored.payment.status is PaymentStatus.PAID

    def asked(self, account: str, reference: str) -> None:
        """All that can be asked of a gateway: what it does, what it refuses, what is never sent."""
        call, checkout = self.seen.call, self.checkout
        call(checkout.refresh, account, reference)
        for asked in (reference, "Unknown1", "not a reference"):
            call(checkout.hub.query, account, asked)
        self.start(account, "B" * 40)
        for number, yuan in enumerate(("1.00", "100.00", "100.00")):
            call(checkout.refund, account, reference, Money.of(yuan, "CNY"), f"R{number}{reference}")
            call(checkout.hub.refund, account, reference, None, Money.of(yuan, "CNY"), f"H{number}{reference}")
        call(checkout.close_payment, account, reference)

    def fails(self, sandbox: Any) -> None:
        """Nobody there, and a gateway that answers with everything but an answer."""
        for account in ("gone", "lost"):
            self.start(account, "N1001")
            self.seen.call(self.checkout.hub.query, account, "N1001")
            self.seen.call(self.checkout.hub.refund, account, "N1001", None, Money.of("1.00", "CNY"), "R3")
        for number, fault in enumerate(("http_502", "html", "truncated", "cut")):
            for endpoint in ("unified", "check_order"):
                sandbox.fault(endpoint, fault)
            self.start("shop", f"F{number}")
            self.seen.call(self.checkout.hub.query, "shop", "A1001")
        sandbox.clear_faults()
        for account, kind in itertools.product(("shop", "easy"), CallbackKind):
            for data in (b"", b"a=1&sign=0", b"\xff", b"appid=x&order_no=A1001&sign=" + b"0" * 32):
                callback = Callback("POST", {"Content-Type": FORM}, data, data, kind)
                self.seen.call(self.checkout.hub.parse_callback, account, callback)
        self.seen.call(self.checkout.reconcile)

    def kept(self) -> None:
        """What the ledger gives back."""
        ledger = self.checkout.ledger
        stored = ledger.payments()
        history = [item for one in stored for item in ledger.history(one.payment.account, one.payment.reference)]
        for value in (*stored, *history, *ledger.outbox()):
            self.seen.value(value)


def test_no_secret_is_left_anywhere_by_an_orders_whole_life(
    seen: Seen,
    sandbox: Any,
    epay: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Logs, tracebacks with locals, pickles, reprs, files, pages and commands: the canaries are in none."""
    config = written(tmp_path, sandbox.url, epay)
    for account, secret in (("SHOP", json.dumps(CANARIES[:2])), ("LOST", CANARIES[1])):
        monkeypatch.setenv(f"PAYHUB_ACCOUNTS__{account}__SECRET", secret)
    for account in ("EASY", "GONE"):
        monkeypatch.setenv(f"PAYHUB_ACCOUNTS__{account}__KEY", EPAY_KEY)
    with everything_logged(seen, caplog):
        loaded = seen.call(load_config, config)
        accounts = seen.call(load_accounts, loaded)
        with Hub(accounts) as hub, Ledger(loaded.ledger) as ledger:
            ledger.upgrade()
            checkout = Checkout(hub, ledger)
            for held in (hub, hub["shop"], ledger, checkout, accounts["shop"], accounts["easy"]):
                seen.value(held)
            with serve_wsgi(wsgi(checkout, record=Recorder(tmp_path / "recorded"))) as port:
                life = Life(seen, checkout, f"http://127.0.0.1:{port}/pay")
                life.paid(sandbox, epay)
                life.asked("shop", "A1001")
                life.asked("easy", "E1001")
                life.fails(sandbox)
                life.kept()
            with cassette(tmp_path / "shop.yaml", record=True, secrets=CANARIES):
                seen.value(hub.query("shop", "A1001"))
            # Its protocol has every query carry the key itself: there must be no cassette.
            with (
                pytest.raises(AssertionError, match="not written"),
                cassette(tmp_path / "easy.yaml", record=True, secrets=CANARIES),
            ):
                seen.value(hub.query("easy", "E1001"))
        for words in (
            ["payments", "list"],
            ["payments", "list", "--json"],
            ["payments", "show", "shop", "A1001", "--json"],
            ["payments", "show", "easy", "E1001"],
            ["payments", "anomalies"],
            ["reconcile", "--rate", "100"],
            ["reconcile", "--handler", "no:such"],
            ["ledger", "upgrade"],
            *(["replay", str(path)] for path in (tmp_path / "recorded").iterdir()),
        ):
            run = CliRunner().invoke(payhub, [*words, "--config", str(config)])
            seen.add("command", run.output)
            if run.exception is not None:
                seen.error(run.exception)
    seen.add("output", *capfd.readouterr())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    for path in files:
        seen.add("file", path.name, path.read_bytes())
    assert {path.suffix for path in files} >= {".db", ".json", ".yaml"}
    assert {place for place, contents in seen.places.items() if b"A1001" in b"".join(contents)} >= PLACES
    assert b"refused" in seen.places["page"]
    assert seen.leaks() == []


@pytest.mark.parametrize("canary", CANARIES)
def test_the_search_would_find_each_secret_in_each_spelling(seen: Seen, canary: str) -> None:
    """So that finding none means that there is none."""
    raw = canary.encode()
    for shift in range(3):
        seen.add("base64", b64encode(b"?" * shift + raw + b"!!!"))
    seen.add("text", canary, canary.upper(), raw.hex(), canary.encode("utf-16-le"), pickle.dumps({"key": canary}))
    assert len(seen.leaks()) >= 8
    assert {leak.partition(":")[0] for leak in seen.leaks()} == {"base64", "text"}
