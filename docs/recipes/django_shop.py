from django.conf import settings
from parcels.models import Parcel

from payhub_core import Hub, PaymentStatus, load_accounts, load_config
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger

config = load_config(settings.PAYHUB)  # the path of payhub.toml, which says where the ledger is, too
checkout = Checkout(Hub(load_accounts(config)), Ledger(config.ledger), routes=config.routes)


def ship(transition):
    if transition.status is PaymentStatus.PAID:
        Parcel.objects.get_or_create(number=transition.id, order=transition.reference)
