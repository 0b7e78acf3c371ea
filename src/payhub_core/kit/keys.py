"""RSA keys as settings. They need the extra ``payhub-core[rsa]``, whose import waits for the first key."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, PlainSerializer

from payhub_core.errors import ConfigError
from payhub_core.kit.settings import listed

__all__ = ["PrivateKey", "PublicKey", "PublicKeys"]

_FEWEST_BITS = 2048  # NIST SP 800-131A
#: The SHA-256 of private keys whose numbers were found to fit, which takes 40 ms: an account may be opened often.
_SOUND: set[bytes] = set()
_MOST_SOUND = 10_000
_ARMOUR = re.compile(r"-----(?:BEGIN|END) [A-Z ]+-----|\\n|\s")


class PrivateKey:
    """The account's RSA key of at least 2048 bits, PKCS #8 or PKCS #1, as PEM or as the bare base64 inside it.

    Raises ValueError for any other text, without showing it, and ConfigError where the extra is missing.
    """

    def __init__(self, text: str) -> None:
        self._key: Any = _loaded(text, private=True)

    @property
    def fingerprint(self) -> str:
        """What tells this key from others: of its public half, as `PublicKey.fingerprint`."""
        return _fingerprint(self._key.public_key())

    def sign(self, message: bytes) -> str:
        """The signature of ``message`` in base64: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2.1)."""
        return b64encode(self._key.sign(message, *_scheme())).decode()

    def __repr__(self) -> str:
        return "PrivateKey('**********')"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> Any:
        return handler(Annotated[str, AfterValidator(cls), PlainSerializer(repr, str)])


class PublicKey:
    """A gateway's RSA key of at least 2048 bits, as PEM, as the bare base64 inside it, or in a certificate's PEM.

    A certificate is taken for its key: who issued it, and until when it holds, is for the author to check.
    Raises as `PrivateKey`.
    """

    def __init__(self, text: str) -> None:
        self._key: Any = _loaded(text, private=False)

    @property
    def fingerprint(self) -> str:
        """What tells this key from others: its bits, and the start of its SubjectPublicKeyInfo's SHA-256 (RFC 5280)."""
        return _fingerprint(self._key)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether its private key made ``signature``: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2.2)."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

        try:
            self._key.verify(signature, message, *_scheme())
        except InvalidSignature:
            return False
        return True

    def __repr__(self) -> str:
        return f"<PublicKey of {self._key.key_size} bits>"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> Any:
        return handler(Annotated[str, AfterValidator(cls), PlainSerializer(repr, str)])


#: One public key, or several while they rotate: any verifies.
PublicKeys: TypeAlias = Annotated[tuple[PublicKey, ...], BeforeValidator(listed)]


def _loaded(text: str, *, private: bool) -> Any:
    try:
        from cryptography import x509  # noqa: PLC0415  an extra, and 30 ms
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415
    except ImportError:
        raise ConfigError("RSA keys need an extra", hint="pip install 'payhub-core[rsa]'") from None
    key: Any = None
    try:
        der = b64decode(_ARMOUR.sub("", text), validate=True)
        if private:
            digest = sha256(der).digest()
            key = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=digest in _SOUND)
            if len(_SOUND) >= _MOST_SOUND:
                _SOUND.clear()
            _SOUND.add(digest)
        elif "BEGIN CERTIFICATE" in text:
            key = x509.load_der_x509_certificate(der).public_key()
        else:
            key = serialization.load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        pass
    if not isinstance(key, rsa.RSAPrivateKey if private else rsa.RSAPublicKey) or key.key_size < _FEWEST_BITS:
        kind = "private" if private else "public"
        raise ValueError(f"expected an RSA {kind} key of at least {_FEWEST_BITS} bits: PEM, or the base64 inside it")
    return key


def _fingerprint(public: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"RSA {public.key_size} bits, sha256 {sha256(der).hexdigest()[:8]}"


def _scheme() -> tuple[Any, Any]:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

    return padding.PKCS1v15(), hashes.SHA256()
