"""The shop of ``examples/shop``, in a process of its own and in a copy of its folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import httpx
import uvicorn
from sqlalchemy import text

from payhub_core import Order, Payment
from payhub_core.ledger import Ledger

__all__ = ["ACCOUNT", "EXAMPLE", "Shop", "open_shop", "run", "serve"]

_SHIPPED = Path(__file__).parent / "example"
#: Beside this file in a wheel, and in its own place in the source tree.
EXAMPLE = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parents[3] / "examples" / "shop"
ACCOUNT = "shop"


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop that runs: ``url`` is its address, ``folder`` where it runs, ``ledger`` what it knows."""

    url: str
    folder: Path
    ledger: Ledger

    def buy(self, payer: httpx.Client) -> Payment:
        """What the shop has started for a payer who bought tea."""
        answer = payer.post(f"{self.url}/buy/longjing/alipay_h5")
        if not answer.has_redirect_location:
            raise click.ClickException(f"the shop answered HTTP {answer.status_code}: see what it wrote")
        return self.ledger.payments(limit=1)[0].payment

    def order(self, reference: str) -> Order:
        """The order of that reference, as the shop has written it down."""
        body = text("SELECT body FROM orders WHERE reference = :reference")
        return Order.model_validate_json(
            self.ledger.read(lambda connection: connection.scalar(body, {"reference": reference}))
        )

    @property
    def shipped(self) -> list[str]:
        """The references of what has been sent out."""
        found = text("SELECT reference FROM orders WHERE shipped = 1")
        return self.ledger.read(lambda connection: list(connection.scalars(found)))


@contextmanager
def open_shop(folder: Path, configuration: str) -> Iterator[Shop]:
    """The shop runs in ``folder`` while the block does; ``configuration`` is its payhub.toml."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.db*", "__pycache__"))
    (folder / "payhub.toml").write_text(configuration, "utf-8")
    with run(folder, "-c", "from payhub_sandbox.demo.shop import serve; serve()", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101  it is a pipe
        url = process.stdout.readline().strip()
        if not url:
            raise click.ClickException("the shop did not start: see what it wrote")
        with Ledger(f"sqlite:///{folder}/shop.db") as ledger, httpx.Client(trust_env=False, timeout=60) as client:
            client.get(url).raise_for_status()
            yield Shop(url, folder, ledger)


@contextmanager
def run(folder: Path, *arguments: str, stdout: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """Runs this interpreter in ``folder`` while the block does, without its caller's settings and proxies."""
    own = {key: value for key, value in os.environ.items() if not key.upper().startswith("PAYHUB_")}
    own = {key: value for key, value in own.items() if not key.upper().endswith("_PROXY")} | {"PYTHONUTF8": "1"}
    # A group of its own: Ctrl-C is for the demonstration, which then ends what it started.
    with subprocess.Popen(  # noqa: S603  this interpreter, and arguments of the demonstration's own
        [sys.executable, *arguments], cwd=folder, env=own, stdout=stdout, text=True, process_group=0
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def serve() -> None:
    """Serves the shop of the current folder on a free port, which it prints, until SIGTERM."""
    listener = socket.create_server(("127.0.0.1", 0))
    os.environ["SHOP_URL"] = url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config("shop:app", log_level="warning", timeout_graceful_shutdown=1)
    config.load()
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])
