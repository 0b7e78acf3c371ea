"""The command, as a process."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import httpx
import pytest
import trustme
from click.testing import CliRunner, Result
from tests.sandbox.parties import Customer, Eventually, Shop

from payhub_sandbox import Merchant, SandboxProcess, Settings
from payhub_sandbox.command import sandbox as command

COMMAND = (sys.executable, "-m", "payhub_sandbox")


def run(*options: str, **variables: str) -> Result:
    """Runs the command where it is expected to end at once."""
    return CliRunner(env=variables).invoke(command, [*options], prog_name="payhub sandbox")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    """Status 0 and nothing on stderr; the first line was for programs, the others for people."""
    process = subprocess.Popen(
        [*COMMAND, "--port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert process.stdout is not None
    words, url = process.stdout.readline().rsplit(" ", 1)
    assert words == "payhub sandbox ready on"
    assert httpx.get(f"{url.strip()}/_sandbox/health", trust_env=False).status_code == 200
    shown = ""
    while "pay pages" not in shown:  # it is served before people are told: wait for the words as well
        shown += (line := process.stdout.readline())
        assert line, shown
    process.send_signal(number)
    rest, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert "SANDBOX" in shown
    assert "secret" not in shown + rest


@pytest.mark.parametrize("fault", ["slow", "drip"])
def test_a_fault_under_way_does_not_hold_up_the_end(
    shop: Shop, fault: str, eventually: Eventually, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits a minute for a reply that is late on purpose, or reads a traceback about it."""
    with SandboxProcess() as sandbox, ThreadPoolExecutor() as pool:
        customer = Customer(sandbox.url, shop)
        sandbox.fault("unified", fault, seconds=60)
        reply = pool.submit(customer.post)
        eventually(lambda: bool(sandbox.orders()))
        sandbox.__exit__(None, None, None)
        assert sandbox._process.returncode == 0
        assert isinstance(reply.exception(), httpx.RemoteProtocolError) or reply.result().status_code == 500
        customer.http.close()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_it_does_not_listen_to_other_machines(host: str) -> None:
    """Unless it is told to."""
    result = run("--host", host)
    assert result.exit_code == 1
    assert result.stderr == f"Error: {host} is not a loopback address; --allow-remote lets other machines in\n"


def test_it_listens_to_other_machines_when_told_to(shop: Shop) -> None:
    """Notifies may then leave as well: this one fails for another reason than its address."""
    with SandboxProcess(Settings(host="0.0.0.0", allow_remote=True, notify_timeout=0.5)) as sandbox:
        assert sandbox.url.startswith("http://0.0.0.0:")
        customer = Customer(sandbox.url, shop)
        number = customer.create(notify_url="http://shop.invalid/notify")["platform_order_no"]
        assert "loopback" not in sandbox.pay(number)["deliveries"][0]["error"]
        customer.http.close()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--fixed-clock=yesterday"], "not a time with an offset"),
        (["--fixed-clock=2026-01-02T03:04:05"], "not a time with an offset"),
        (["--resends=-1"], "not in the range"),
        (["--port=70000"], "not in the range"),
        (["--certfile=/nowhere"], "does not exist"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options: list[str], reason: str) -> None:
    """With click's status for it."""
    result = run(*options)
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.split())


def test_a_port_in_use_is_an_error_in_one_line(sandbox: SandboxProcess) -> None:
    """Not a traceback."""
    port = sandbox.url.rpartition(":")[2]
    result = subprocess.run([*COMMAND, "--port", port], capture_output=True, encoding="utf-8", timeout=20, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr


def test_a_certificate_that_is_none_is_told_by_its_option(tmp_path: Path) -> None:
    """In place of the words of OpenSSL."""
    (tmp_path / "chain.pem").write_text("no certificate")
    result = run("--port=0", f"--certfile={tmp_path / 'chain.pem'}")
    assert result.exit_code == 1
    said = "the certificate cannot be used. Hint: --certfile and --keyfile are PEM files that belong together"
    assert result.stderr == f"Error: {said}\n"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("folder", "unable to open database file"),
        ("folder/missing/orders.db", "unable to open database file"),
        ("notes.txt", "file is not a database"),
    ],
)
def test_a_database_that_cannot_be_opened_is_an_error_in_one_line(tmp_path: Path, name: str, reason: str) -> None:
    """By its path."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("no database")
    result = run("--port=0", f"--database={tmp_path / name}")
    assert result.exit_code == 1
    said = f"the database {tmp_path / name} cannot be used: {reason}"
    assert result.output == f"Error: {said}. Hint: --database is a SQLite file in a folder that is there\n"


@pytest.mark.parametrize(
    "merchants", ["{", "[]", '{"gpu1": "very-secret-text"}', '{"gpu1": {"secret": "very-secret-text", "x": 1}}']
)
def test_malformed_merchants_are_named_without_their_secret(merchants: str) -> None:
    """An error message ends up in a log."""
    result = run(GPU_SANDBOX_MERCHANTS=merchants)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: GPU_SANDBOX_MERCHANTS is malformed")
    assert "very-secret-text" not in result.stderr


def test_a_file_with_orders_of_others_is_refused(shop: Shop, tmp_path: Path) -> None:
    """Without their keys nothing could be signed for them."""
    database = str(tmp_path / "sandbox.db")
    with SandboxProcess(Settings(database=database)) as sandbox:
        customer = Customer(sandbox.url, shop)
        customer.create()
        customer.http.close()
    result = run(
        "--port", "0", "--database", database, GPU_SANDBOX_MERCHANTS='{"gpu7": {"secret": "the-seventh-secret"}}'
    )
    assert result.exit_code == 1
    assert result.stderr == f"Error: {database} holds orders of unknown merchants: gpu10000000\n"


def test_a_process_that_cannot_start_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    """The caller is not left waiting, and the reason is on stderr."""
    with pytest.raises(RuntimeError, match="did not start"), SandboxProcess(Settings(host="192.0.2.1")):
        pytest.fail("unreachable")
    assert capfd.readouterr().err.startswith("Error: 192.0.2.1 is not a loopback address")


def test_secrets_are_not_in_the_command_line() -> None:
    """Everyone on the machine can read that."""
    with SandboxProcess(Settings(merchants={"gpu7": Merchant("the-seventh-secret")})) as sandbox:
        assert "the-seventh-secret" not in str(sandbox._process.args)


def test_with_a_fixed_clock_everything_repeats(shop: Shop) -> None:
    """Two sandboxes at two ports answer byte for byte the same, headers and all."""
    settings = Settings(
        fixed_clock=datetime.fromisoformat("2026-01-02T03:04:05+08:00"), base_url="https://gateway.example"
    )

    def session() -> tuple[object, ...]:
        with SandboxProcess(settings) as sandbox:
            customer = Customer(sandbox.url, shop)
            first, second = customer.post(), customer.post(order_no="A1002")
            number = first.json()["data"]["platform_order_no"]
            sandbox.pay(number)
            replies = [first, second, customer.check()]
            customer.http.close()
        assert number == "A202601020304050000000001"
        assert second.json()["data"]["redirect_url"] == "https://gateway.example/pay/A202601020304050000000002"
        assert replies[-1].json()["data"]["pay_time"] == "2026-01-02 03:04:05"
        return *((reply.headers.raw, reply.content) for reply in replies), shop.notifies().pop()

    assert session() == session()


def test_it_serves_tls(shop: Shop, tmp_path: Path) -> None:
    """A connection can be cut there too."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    settings = Settings(certfile=str(tmp_path / "cert.pem"), keyfile=str(tmp_path / "key.pem"))
    with SandboxProcess(settings) as sandbox:
        assert sandbox.url.startswith("https://127.0.0.1:")
        customer = Customer(sandbox.url, shop)
        customer.http.close()
        context = ssl.create_default_context(cafile=tmp_path / "authority.pem")
        customer.http = httpx.Client(base_url=sandbox.url, verify=context, trust_env=False)
        assert customer.create()["redirect_url"].startswith(sandbox.url)
        sandbox.fault("check_order", "cut")
        with pytest.raises(httpx.RemoteProtocolError):
            customer.check()
        customer.http.close()


def test_importing_the_package_starts_nothing() -> None:
    """The server's packages are loaded by the server."""
    code = (
        "import sys, payhub_sandbox, payhub_sandbox.command;"
        "print({'starlette', 'uvicorn', 'jinja2', 'segno'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
