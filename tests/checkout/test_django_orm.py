"""What a handler writes through Django's ORM is refused, from whatever thread; deliver is, inside atomic()."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, json, logging
import django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}})
django.setup()
from asgiref.sync import sync_to_async
from django.db import connection as orm, models, transaction
from payhub_core import AsyncHub, ConfigError, Hub, Money, Order, PaymentStatus, load_accounts
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.ledger import Ledger
from payhub_dummy import notify

logging.getLogger("payhub").addHandler(logging.StreamHandler(open("log", "w")))
with orm.cursor() as cursor:
    cursor.execute("CREATE TABLE parcels (number varchar(200) PRIMARY KEY)")

class Parcel(models.Model):
    number = models.CharField(max_length=200, primary_key=True)

    class Meta:
        app_label, db_table, managed = "parcels", "parcels", False

def creates(told, _):
    Parcel.objects.create(number=told.id)

def in_atomic(told, _):
    with transaction.atomic():
        creates(told, _)

def by_cursor(told, _):
    with orm.cursor() as cursor:
        cursor.execute("INSERT INTO parcels VALUES (%s)", [told.id])

def swallows(told, _):
    try:
        creates(told, _)
    except ConfigError:
        pass

def reads(told, _):
    Parcel.objects.count()

async def acreates(told, _):
    await Parcel.objects.acreate(number=told.id)

async def in_threads(told, _):
    await sync_to_async(in_atomic)(told, _)

async def to_thread(told, _):
    await asyncio.to_thread(creates, told, _)

async def in_tasks(told, _):
    await asyncio.gather(acreates(told, _))

async def areads(told, _):
    await Parcel.objects.acount()

accounts = load_accounts({"accounts": {"shop": {"provider": "dummy", "development": True}}})
ledger = Ledger("sqlite:///ledger.db")
ledger.upgrade()

def order(name):
    return Order(reference=name, amount=Money.of("100.00", "EUR"), description="Tea",
                 notify_url="https://s.example/n", return_url="https://s.example/r")

def told(name, reply):
    print(json.dumps([name, reply.status_code, ledger.payment("shop", name).payment.status.value,
                      Parcel.objects.filter(number__contains=f"/{name}/").count()]))

for number, handler in enumerate([creates, in_atomic, by_cursor, swallows, reads], 1):
    checkout = Checkout(Hub(accounts), ledger, handler=handler)
    checkout.start("shop", order(f"S{number}"))
    told(f"S{number}", checkout.receive("shop", notify("shop", order(f"S{number}"))))

async def awaited():
    for number, handler in enumerate([acreates, in_threads, to_thread, in_tasks, areads], 1):
        name = f"A{number}"
        await sync_to_async(Parcel.objects.count)()  # this thread has a connection before
        checkout = AsyncCheckout(AsyncHub(accounts), ledger, handler=handler)
        await checkout.start("shop", order(name))
        reply = await checkout.receive("shop", notify("shop", order(name)))
        await sync_to_async(told)(name, reply)

asyncio.run(awaited())

def ship(told):
    Parcel.objects.create(number=told.id)

checkout = Checkout(Hub(accounts), ledger)
checkout.start("shop", order("D1"))
checkout.receive("shop", notify("shop", order("D1")))
try:
    with transaction.atomic():
        checkout.deliver(transaction.atomic(ship))
except ConfigError as error:
    print(json.dumps(error.message))
print(json.dumps([len(ledger.outbox()), Parcel.objects.filter(number__contains="/D1/").count()]))
checkout.deliver(transaction.atomic(ship))
print(json.dumps([len(ledger.outbox()), Parcel.objects.filter(number__contains="/D1/").count()]))
"""


def test_what_commits_apart_from_payhub_is_refused(tmp_path: Path) -> None:
    """Paid is said to the gateway with the shop's own row, or not at all; what only reads is let through."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    *heard, refused, waiting, delivered = map(json.loads, done.stdout.splitlines())
    read = {"S5", "A5"}
    assert {name for name, *_ in heard} == {f"{kind}{number}" for kind in "SA" for number in range(1, 6)}
    for name, *ended in heard:
        assert ended == ([200, "paid", 0] if name in read else [503, "pending", 0]), name
    assert "inside a transaction of Django's" in refused
    assert (waiting, delivered) == ([1, 0], [0, 1])


def test_a_django_whose_databases_nobody_has_used_yet_is_no_mistake(tmp_path: Path) -> None:
    """As in a shop that has Django for its pages alone."""
    program = """
import sys
import django
from django.conf import settings
settings.configure(DATABASES={})
django.setup()
import django.db
assert "django.db.backends.signals" not in sys.modules
from payhub_core.ledger import Ledger
Ledger("sqlite:///payhub.db").upgrade()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
