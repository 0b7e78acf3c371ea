"""A gateway of one's own on a real socket: HTTPS on loopback, with every fault that a network has."""

from __future__ import annotations

import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, ClassVar, Self

import httpx

from payhub_core.errors import ConfigError
from payhub_core.flow import Request, Response
from payhub_core.hookspecs import Provider
from payhub_core.hub import AsyncHub, Hub
from payhub_core.testing.faults import FAULTS, Raw
from payhub_core.transport.deadline import bound

__all__ = ["FakeGateway"]

HOST = "127.0.0.1"
_DAY = timedelta(days=1)
#: How long a gateway that does not answer keeps a connection open, unless it is left before.
_SILENCE = 30.0


class FakeGateway:
    """A server that answers by ``answer``, whatever host a request is for; its hubs reach it as any other.

    Use it in a ``with``. ``requests`` are those that arrived. ``fault`` is the name of a fault of `FAULTS` that every
    answer has from now on, or None. A contract's answers are ``FakeGateway(lambda r: contract.answer(r, sale))``.
    Needs the extra ``payhub-core[testing]`` for its certificate.
    """

    def __init__(self, answer: Callable[[Request], Response], *, fault: str | None = None) -> None:
        self.answer = answer
        self.fault = fault
        self.requests: list[Request] = []
        self._left = threading.Event()
        self._server = _Server((HOST, 0), _Exchange)
        self._server.gateway = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, for a provider whose address is a setting."""
        return f"https://{HOST}:{self._server.server_address[1]}"

    @contextmanager
    def hub(self, accounts: Mapping[str, Provider]) -> Iterator[Hub]:
        """A `Hub` whose requests all arrive here, over TLS, verified."""
        with httpx.Client(verify=_trusting(), trust_env=False) as client:
            yield Hub(accounts, client=_rerouted(bound(client), self._port))

    @asynccontextmanager
    async def async_hub(self, accounts: Mapping[str, Provider]) -> AsyncIterator[AsyncHub]:
        """`hub`, for asyncio and trio."""
        async with httpx.AsyncClient(verify=_trusting(), trust_env=False) as client:
            yield AsyncHub(accounts, client=_rerouted(client, self._port))

    @property
    def _port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    gateway: FakeGateway

    def finish_request(self, request: Any, client_address: Any) -> None:
        """TLS, in the connection's own thread: a client that does not speak it must not stop the others."""
        if self.gateway.fault == "connect":
            return
        try:
            with _serving().wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        except OSError:
            pass  # the client has gone

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is what the tests are about."""


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout: ClassVar[float] = _SILENCE

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _exchange(self) -> None:
        gateway = self.server.gateway
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = f"https://{self.headers.get('Host', HOST)}{self.path}"
        request = Request(self.command, url, headers=list(self.headers.items()), content=body)
        gateway.requests.append(request)
        self.close_connection = True

        def honest(**_: object) -> Response:
            return gateway.answer(request)

        try:
            fault = FAULTS[gateway.fault] if gateway.fault else None
            self._send(fault(request, honest) if fault else honest())
        except httpx.ReadTimeout:
            gateway._left.wait(_SILENCE)  # noqa: SLF001
        except httpx.ReadError:
            # A reset: what was not sent is thrown away.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except httpx.RemoteProtocolError:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _exchange  # noqa: N815  the names that http.server looks for

    def _send(self, response: Response) -> None:
        stream: Any = response.stream
        chunks = stream if isinstance(stream, Raw) else [response.content]
        body = [*stream.chunks] if isinstance(stream, Raw) else [response.content]
        self.send_response(response.status_code)
        for name, value in response.headers.multi_items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(sum(map(len, body))))
        self.send_header("Connection", "close")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(chunk)
            self.wfile.flush()


def _rerouted(client: Any, port: int) -> Any:
    """``client``, whose connections all lead to loopback, whatever host they are for; TLS and all above is as ever.

    httpx hands no network backend through to its pools, so this reaches into them, as the hub does for its deadlines.
    """
    backend = client._transport._pool._network_backend  # noqa: SLF001
    connect = backend.connect_tcp
    backend.connect_tcp = lambda **options: connect(**{**options, "host": HOST, "port": port})
    return client


@cache
def _trusting() -> ssl.SSLContext:
    """What trusts this process's gateways, under any name, and nobody else."""
    context = ssl.create_default_context(cadata=_made()[0].decode())
    context.check_hostname = False
    return context


@cache
def _serving() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate, key = _made()
    with tempfile.TemporaryDirectory() as folder:  # the standard library reads keys from files alone
        path = Path(folder) / "gateway.pem"
        path.write_bytes(certificate + key)
        context.load_cert_chain(path)
    return context


@cache
def _made() -> tuple[bytes, bytes]:
    """A certificate for loopback, valid for a day, that signs itself; and its key. Made once for a process."""
    try:
        from cryptography import x509  # noqa: PLC0415  an extra
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    except ImportError:
        raise ConfigError("a gateway over HTTPS needs an extra", hint="pip install 'payhub-core[testing]'") from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "payhub's fake gateway")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST)), x509.DNSName("localhost")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return (
        built.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, *form),
    )
