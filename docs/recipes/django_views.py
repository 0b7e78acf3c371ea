import secrets

from django.db.transaction import non_atomic_requests
from django.shortcuts import redirect
from parcels.models import Sale
from shop import checkout, config

from payhub_core import Money, Order, PaymentMethod

PAY = "https://shop.example/pay/{account}"
ADDRESSES = {"notify_url": f"{PAY}/notify", "return_url": f"{PAY}/return/{{reference}}"}
TEA = {"amount": Money.of("128.00", "CNY"), "description": "Tea", "method": PaymentMethod.ALIPAY_H5}


@non_atomic_requests  # so the sale is committed before anybody else hears of the order
def buy(request):
    sale = Sale.objects.create(reference=f"D{secrets.token_hex(8)}")
    payment = checkout.start(config.default, Order(reference=sale.reference, **TEA, **ADDRESSES))
    return redirect(payment.next_action.url)
