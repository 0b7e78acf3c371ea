"""A sandbox in a process of its own, for tests, demonstrations and recordings."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from dataclasses import asdict, fields
from typing import Any, Literal, Self

import httpx

from payhub_sandbox.settings import MERCHANTS_VARIABLE, Settings

__all__ = ["SandboxProcess"]

_READY = "payhub sandbox ready on "
_EXIT_SECONDS = 10.0


class SandboxProcess:
    """Runs a sandbox while the ``with`` block does, and steers it over its control API.

    ``url`` is the address to put into an account's ``base_url``. Orders are named by the platform's number, the
    payment's ``gateway_id``. Control calls that the sandbox refuses raise `httpx.HTTPStatusError`.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings: Settings = settings or Settings()
        self.url: str = ""

    def __enter__(self) -> Self:
        """Starts the process and waits until it accepts connections; raises RuntimeError where it ends instead."""
        secrets = json.dumps({appid: asdict(merchant) for appid, merchant in self.settings.merchants.items()})
        self._process = subprocess.Popen(  # noqa: S603  this interpreter, and options of the sandbox's own
            [sys.executable, "-m", "payhub_sandbox", *_options(self.settings)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, MERCHANTS_VARIABLE: secrets, "PYTHONUTF8": "1"},
        )
        try:
            self.url = self._wait()
            self._control = httpx.Client(
                base_url=f"{self.url}/_sandbox/", timeout=30.0, trust_env=False, verify=_trust(self.settings.certfile)
            )
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process."""
        self._control.close()
        self._stop()

    def pay(
        self,
        platform_order_no: str,
        *,
        action: Literal["pay", "fail"] = "pay",
        amount: int | None = None,
        notify: bool = True,
    ) -> dict[str, Any]:
        """Pays an order (``amount`` fen, or what is due) or lets it fail; returns it after the first notify attempt."""
        outcome = {"action": action, "amount": amount, "notify": notify}
        return self._call("POST", f"orders/{platform_order_no}/pay", outcome)

    def notify(self, platform_order_no: str) -> dict[str, Any]:
        """Notifies the shop once more, now; returns the attempt."""
        return self._call("POST", f"orders/{platform_order_no}/notify")

    def fault(self, endpoint: str, fault: str, *, times: int = 1, **parameters: Any) -> None:
        """Makes a fault happen to the next ``times`` requests of an endpoint."""
        self._call("POST", "faults", {"endpoint": endpoint, "fault": fault, "times": times, **parameters})

    def clear_faults(self) -> None:
        """Disarms every fault."""
        self._call("DELETE", "faults")

    def orders(self, appid: str = "", order_no: str = "") -> list[dict[str, Any]]:
        """The newest orders, newest first; or the one with this merchant's own number, if any."""
        query = f"?{httpx.QueryParams(appid=appid, order_no=order_no)}" if order_no else ""
        return list(self._call("GET", f"orders{query}")["orders"])

    def order(self, platform_order_no: str) -> dict[str, Any]:
        """One order, its ``deliveries`` included."""
        return self._call("GET", f"orders/{platform_order_no}")

    def deliveries(self, platform_order_no: str) -> list[dict[str, Any]]:
        """The attempts to notify about an order, oldest first."""
        return list(self.order(platform_order_no)["deliveries"])

    def requests(self) -> list[dict[str, Any]]:
        """What merchants have asked: ``endpoint``, ``method``, ``order_no`` and ``count``."""
        return list(self._call("GET", "requests")["requests"])

    def reset(self) -> None:
        """Forgets orders, faults and requests, and stops resending."""
        self._call("DELETE", "")

    def _call(self, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self._control.request(method, path, json=content)
        response.raise_for_status()
        return dict(response.json())

    def _wait(self) -> str:
        assert self._process.stdout is not None  # noqa: S101  it is a pipe
        line = self._process.stdout.readline()
        if not line.startswith(_READY):
            raise RuntimeError("the sandbox did not start: see what it wrote")
        return line.removeprefix(_READY).strip()

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def _trust(certfile: str | None) -> ssl.SSLContext | bool:
    if certfile is None:
        return True
    # The very certificate is the proof: whoever issued it, and whatever name it is for.
    context = ssl.create_default_context(cafile=certfile)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


def _options(settings: Settings) -> list[str]:
    """The command line that means ``settings``; merchants are not in it, for everyone on the machine can read it."""
    options: list[str] = []
    for name in (field.name for field in fields(settings) if field.name != "merchants"):
        option, value = f"--{name.replace('_', '-')}", getattr(settings, name)
        if value is True:
            options.append(option)
        elif value not in {None, ""} and value is not False:
            options.append(f"{option}={value}")
    return options
