"""RSA keys as settings, in every form in which gateways hand them out; and the signatures they make."""

from __future__ import annotations

import copy
import sys
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from payhub_core import ConfigError
from payhub_core.kit import AccountSettings, PrivateKey, PublicKey, PublicKeys, verified_by_any

RSA = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
SHORT = rsa.generate_private_key(65537, 1024)
MESSAGE = b"app_id=1&biz_content={}"


def private(
    key: Any = RSA, form: PrivateFormat = PrivateFormat.PKCS8, lock: Any = None, encoding: Any = Encoding.PEM
) -> str:
    data = key.private_bytes(encoding, form, lock or NoEncryption())
    return data.decode() if encoding is Encoding.PEM else b64encode(data).decode()


def public(key: Any = RSA, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo, encoding: Any = Encoding.PEM) -> str:
    data = key.public_key().public_bytes(encoding, form)
    return data.decode() if encoding is Encoding.PEM else b64encode(data).decode()


def certificate(key: Any = RSA) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.example")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=3650))
    return built.sign(RSA, SHA256()).public_bytes(Encoding.PEM).decode()


def bare(pem: str) -> str:
    return "".join(line for line in pem.splitlines() if "-----" not in line)


def genuine(message: bytes = MESSAGE, key: Any = RSA) -> str:
    return b64encode(key.sign(message, padding.PKCS1v15(), SHA256())).decode()


PRIVATE = {
    "PKCS 8": private(),
    "PKCS 1": private(form=PrivateFormat.TraditionalOpenSSL),
    "PKCS 8, bare": private(encoding=Encoding.DER),
    "PKCS 1, bare": private(form=PrivateFormat.TraditionalOpenSSL, encoding=Encoding.DER),
    "with CRLF": private().replace("\n", "\r\n"),
    "from a variable": private().replace("\n", "\\n"),
    "with blanks around": f"\n  {private()}  \n",
}
PUBLIC = {
    "SubjectPublicKeyInfo": public(),
    "PKCS 1": public(form=PublicFormat.PKCS1),
    "bare": public(encoding=Encoding.DER),
    "bare, in lines": bare(public()) + "\n",
    "certificate": certificate(),
    "from a variable": public().replace("\n", "\\n"),
}


@pytest.mark.parametrize("name", PRIVATE)
def test_a_private_key_signs_in_every_form_it_comes_in(name: str) -> None:
    """PEM, and the base64 that Alipay's tools write; deterministic, so the very signature."""
    assert PrivateKey(PRIVATE[name]).sign(MESSAGE) == genuine()


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_key_verifies_in_every_form_it_comes_in(name: str) -> None:
    """PEM, bare base64, and a certificate as WeChat Pay sends one."""
    assert verified_by_any([PublicKey(PUBLIC[name])], genuine(), MESSAGE)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "canary", "canary" * 100, "=", "-----BEGIN PRIVATE KEY-----", bare(private())[:-8]),
        *("密钥",),
        *(private(SHORT), private(ec.generate_private_key(ec.SECP256R1()))),
        *(private(ed25519.Ed25519PrivateKey.generate()),),
        *(private(lock=BestAvailableEncryption(b"x")), public(), certificate(), private() + private()),
    ],
)
def test_what_is_no_private_key_is_refused_without_being_shown(text: str) -> None:
    """Other kinds, too short, encrypted, truncated, the public half."""
    with pytest.raises(ValueError, match="expected an RSA private key of at least 2048 bits") as caught:
        PrivateKey(text)
    assert not text.strip() or text.strip()[:40] not in str(caught.value)


def test_a_key_whose_numbers_do_not_fit_is_refused_however_often_it_comes() -> None:
    """Whether they fit is found out once for each key, since it takes as long as twenty signatures."""
    PrivateKey(private())
    data = bytearray(RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    data[len(data) // 2] ^= 1
    for _ in range(2):
        with pytest.raises(ValueError, match="expected an RSA private key"):
            PrivateKey(b64encode(data).decode())


@pytest.mark.parametrize(
    "text",
    [
        *("", "canary", bare(public())[:-8], public(SHORT)),
        *(public(ec.generate_private_key(ec.SECP256R1())), private()),
        *(certificate(ec.generate_private_key(ec.SECP256R1())), certificate(SHORT), bare(certificate())),
    ],
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    """A certificate is known by its first line alone."""
    with pytest.raises(ValueError, match="expected an RSA public key of at least 2048 bits"):
        PublicKey(text)


class Wallet(AccountSettings):
    key: PrivateKey
    gateway_keys: PublicKeys


def test_keys_are_settings() -> None:
    """One public key or several; a copy of the account signs as well."""
    for keys in (public(), [public()], [public(OTHER), public()]):
        wallet = copy.deepcopy(Wallet(key=private(), gateway_keys=keys))  # type: ignore[arg-type]
        assert verified_by_any(wallet.gateway_keys, wallet.key.sign(MESSAGE), MESSAGE)


@pytest.mark.parametrize("changes", [{"key": "canary"}, {"key": None}, {"gateway_keys": []}, {"gateway_keys": ["x"]}])
def test_a_wrong_key_does_not_start(changes: dict[str, Any]) -> None:
    """An account without a gateway's key could verify nothing."""
    with pytest.raises(ValidationError) as caught:
        Wallet(**{"key": private(), "gateway_keys": public(), **changes})
    assert "canary" not in str(caught.value)


def test_no_view_of_an_account_shows_its_key() -> None:
    """Repr, str, dict, JSON."""
    wallet: Any = Wallet(key=private(), gateway_keys=public())  # type: ignore[arg-type]
    views = [wallet, vars(wallet), dict(wallet), wallet.model_dump(), wallet.model_copy(), wallet.model_dump_json()]
    shown = "".join(f"{view!r} {view}" for view in [*views, wallet.model_json_schema()])
    assert "BEGIN" not in shown
    assert bare(private())[:40] not in shown


def test_without_the_extra_a_key_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the kit is there all the same."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ConfigError, match=r"payhub-core\[rsa\]"):
        PublicKey(public())


# Signatures


def test_any_of_several_keys_verifies_and_another_does_not() -> None:
    """Rotation, wherever the key stands."""
    old, new = PublicKey(public()), PublicKey(public(OTHER))
    assert verified_by_any([new, old], genuine(), MESSAGE)
    assert verified_by_any([old, new], genuine(), MESSAGE)
    assert not verified_by_any([new], genuine(), MESSAGE)
    assert not verified_by_any([], genuine(), MESSAGE)


def test_every_one_byte_change_of_message_or_signature_is_refused() -> None:
    """Bit by bit."""
    key, signature = [PublicKey(public())], genuine()
    for place in range(len(MESSAGE)):
        changed = MESSAGE[:place] + bytes([MESSAGE[place] ^ 1]) + MESSAGE[place + 1 :]
        assert not verified_by_any(key, signature, changed)
    for place in range(0, 256, 16):
        raw = bytearray(RSA.sign(MESSAGE, padding.PKCS1v15(), SHA256()))
        raw[place] ^= 1
        assert not verified_by_any(key, b64encode(raw).decode(), MESSAGE)


@pytest.mark.parametrize(
    "given",
    [
        *(None, "", " ", "=", "A", "AAAA", "签" * 344, "\ud800", "A" * 100_000, genuine() + "\n"),
        *(" " + genuine(),),
        *(genuine()[:-4], genuine() + "AAAA", genuine().lower(), genuine().replace("=", ""), 5, b"AAAA"),
    ],
)
def test_anything_else_is_no_signature(given: Any) -> None:
    """Missing, empty, non-ASCII, over-long, with something around it: False, and no exception."""
    assert verified_by_any([PublicKey(public())], given, MESSAGE) is False
