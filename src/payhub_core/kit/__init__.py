"""What every provider needs and none should copy: settings, strict messages, exact values, signatures."""

from payhub_core.kit.fields import CallbackFields, Fields, Number, grammar, minor_units
from payhub_core.kit.forms import FORM, read_form, read_pairs, write_form
from payhub_core.kit.keys import PrivateKey, PublicKey, PublicKeys
from payhub_core.kit.markup import read_xml, write_xml
from payhub_core.kit.methods import method_code
from payhub_core.kit.mismatch import SignedPairs
from payhub_core.kit.objects import raw_member, read_json, read_object
from payhub_core.kit.replies import Refusal, check_code, read_reply
from payhub_core.kit.settings import AccountSettings, Address, Secret, Secrets
from payhub_core.kit.signatures import basic_auth, bearer, check_age, made_by_any, verified_by_any

__all__ = [
    "FORM",
    "AccountSettings",
    "Address",
    "CallbackFields",
    "Fields",
    "Number",
    "PrivateKey",
    "PublicKey",
    "PublicKeys",
    "Refusal",
    "Secret",
    "Secrets",
    "SignedPairs",
    "basic_auth",
    "bearer",
    "check_age",
    "check_code",
    "grammar",
    "made_by_any",
    "method_code",
    "minor_units",
    "raw_member",
    "read_form",
    "read_json",
    "read_object",
    "read_pairs",
    "read_reply",
    "read_xml",
    "verified_by_any",
    "write_form",
    "write_xml",
]
