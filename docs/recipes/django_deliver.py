from django.core.management.base import BaseCommand, CommandError
from django.db.transaction import atomic
from shop import checkout, ship


class Command(BaseCommand):
    help = "Hands the shop what has become true of its payments."

    def handle(self, **options):
        while checkout.deliver(atomic(ship)):  # at most a hundred at a time
            pass
        if failed := [it.id for it in checkout.ledger.outbox() if it.attempts]:
            raise CommandError(f"not taken, to be tried again: {', '.join(failed)}")
