"""What the platform tells the shop: the signed fields of a notify (section 5.2) and of a return (section 5.3)."""

from __future__ import annotations

from hashlib import md5

from payhub_sandbox.faults import Fault
from payhub_sandbox.orders import Order
from payhub_sandbox.settings import Merchant
from payhub_sandbox.signature import callback_signature

__all__ = ["notify_fields", "return_fields"]


def notify_fields(order: Order, merchant: Merchant, fault: Fault) -> dict[str, str]:
    """What a notify says of an order as it stands now; its amounts are fen in spite of their decimals."""
    fields = {
        "actual_amount": f"{order.actual_amount}.00",
        "amount": f"{order.amount}.00",
        "appid": order.appid,
        "attach": order.attach,
        "order_no": order.order_no,
        "pay_status": str(order.pay_status),
        "pay_time": order.pay_time,
        "platform_order_no": order.platform_order_no,
    }
    return _signed(fields, merchant, fault)


def return_fields(order: Order, merchant: Merchant, fault: Fault) -> dict[str, str]:
    """What the payer's browser carries back to the shop."""
    return _signed({"order_no": order.order_no, "pay_status": str(order.pay_status)}, merchant, fault)


def _signed(fields: dict[str, str], merchant: Merchant, fault: Fault) -> dict[str, str]:
    """``fields`` with their signature, changed by the fault that they meet."""
    if fault.fault == "extra_fields":
        fields |= fault.fields
    elif fault.fault == "other_order":
        fields["order_no"] = "OTHER-1"
    sign = callback_signature(fields, merchant)
    if fault.fault == "forged":
        sign = md5(sign.encode(), usedforsecurity=False).hexdigest()
    return fields | {"sign": sign}
