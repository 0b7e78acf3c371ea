"""An order's method in the gateway's own word."""

from __future__ import annotations

import pytest

from payhub_core import PaymentMethod
from payhub_core.kit import method_code

CODES = {PaymentMethod.CARD: "INTCARD"}


@pytest.mark.parametrize(
    ("method", "code"), [(PaymentMethod.CARD, "INTCARD"), ("VNPAYQR", "VNPAYQR"), (None, "any"), ("", "any")]
)
def test_a_neutral_method_is_translated_and_a_raw_one_is_itself(method: PaymentMethod | str | None, code: str) -> None:
    """Without a method there is the default."""
    assert method_code(method, CODES, default="any") == code


def test_a_method_that_the_table_lacks_is_never_sent() -> None:
    """Its neutral name means nothing to the gateway."""
    with pytest.raises(KeyError):
        method_code(PaymentMethod.WALLET, CODES)
