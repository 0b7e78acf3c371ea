"""A Django shop by the recipes: what is acknowledged is delivered, into the shop's own rows, whatever fails between."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"

PROGRAM = """
import importlib.util, json, sys, types
from pathlib import Path
url, database, notify, recipe, recipes = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
import django, httpx
from django.conf import settings
settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="recipe", LOGGING_CONFIG=None,
                   PAYHUB=Path("payhub.toml"),
                   MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
                   DATABASES={"default": {**database, "ATOMIC_REQUESTS": True}})
django.setup()
from django.core.management import CommandError, call_command
from django.db import connection as orm, models
from django.test import AsyncClient, Client
from django.urls import path
from asgiref.sync import async_to_sync
from payhub_core import AsyncHub, Hub
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.models import Order
from payhub_core import Money

with orm.cursor() as cursor:
    cursor.execute("CREATE TABLE customers (id integer PRIMARY KEY)")
    cursor.execute("CREATE TABLE sales (reference varchar(64) PRIMARY KEY)")
    cursor.execute('CREATE TABLE parcels (number varchar(200) PRIMARY KEY, "order" varchar(64), customer integer '
                   "REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED)")

class Parcel(models.Model):
    number = models.CharField(max_length=200, primary_key=True)
    order = models.CharField(max_length=64)
    customer = models.IntegerField(default=1)

    class Meta:
        app_label, db_table, managed = "parcels", "parcels", False

class Sale(models.Model):
    reference = models.CharField(max_length=64, primary_key=True)

    class Meta:
        app_label, db_table, managed = "parcels", "sales", False

for name, content in {"parcels": {}, "parcels.models": {"Parcel": Parcel, "Sale": Sale}}.items():
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(content)

def gateway(request):
    form = dict(parse_qsl(request.content.decode()))
    data = {key: form[key] for key in ("order_no", "amount", "bank_code")}
    data |= {"pay_status": "-1", "redirect_url": "https://gateway.example/pay", "platform_order_no": "P1"}
    return httpx.Response(200, json={"status": 1, "message": "ok", "data": data})

from urllib.parse import parse_qsl
Path("payhub.toml").write_text(f'''
ledger = "{url}"
[accounts.shop]
provider = "gpu"
base_url = "https://gateway.example"
appid = "gpu10000000"
secret = "c1277-throw-away-key-of-the-shop"
''')

def load(name, as_name):
    spec = importlib.util.spec_from_file_location(as_name, f"{recipes}/{name}.py")
    sys.modules[as_name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[as_name])
    return sys.modules[as_name]

shop = load("django_shop", "shop")
ledger, accounts = shop.checkout.ledger, shop.checkout.hub.accounts
seller = Checkout(Hub(accounts, client=httpx.Client(transport=httpx.MockTransport(gateway))), ledger)
seller.start("shop", Order(reference="A1001", amount=Money.of("100.00", "CNY"), description="Tea", method="901",
                            notify_url="https://s.example/n", return_url="https://s.example/r"))

is_async = "async" in recipe
checkout, shop.checkout = shop.checkout, AsyncCheckout(AsyncHub(accounts), ledger) if is_async else shop.checkout
load(recipe, "recipe")
shop.checkout = seller
sys.modules["recipe"].urlpatterns.append(path("buy", load("django_views", "views").buy))
shop.checkout = checkout                                # the command is given a Checkout
deliver = load("django_deliver", "deliver")

def post():
    kind = "application/x-www-form-urlencoded"
    address = "/pay/shop/notify"
    if is_async:
        return async_to_sync(AsyncClient(enforce_csrf_checks=True).post)(address, notify.encode(), content_type=kind)
    return Client(enforce_csrf_checks=True).post(address, notify.encode(), content_type=kind)

def state():
    with orm.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM parcels")
        parcels = cursor.fetchone()[0]
    return [ledger.payment("shop", "A1001").payment.status.value, parcels, len(ledger.outbox())]

bought = Client().post("/buy")
(sale,) = Sale.objects.all()
print(json.dumps([bought["Location"], ledger.payment("shop", sale.reference).creation.value]))
reply = post()
print(json.dumps([reply.status_code, reply.content.decode(), *state()]))
told = []
try:
    call_command(deliver.Command())                    # the customer's row is late: Django's commit fails
except CommandError as error:
    told.append(str(error))
print(json.dumps([*told, *state()]))
with orm.cursor() as cursor:
    cursor.execute("INSERT INTO customers VALUES (1)")
ledger.write(lambda connection: connection.exec_driver_sql("UPDATE payhub_transitions SET due_at = at"))
for _ in range(2):
    call_command(deliver.Command())
print(json.dumps([post().content.decode(), *state()]))
"""


@pytest.mark.parametrize("recipe", ["django_urls", "django_async_urls"])
def test_a_paid_order_reaches_the_shops_own_rows(
    url: str, ledger: Any, platform: Any, recipe: str, tmp_path: Path
) -> None:
    """Under ATOMIC_REQUESTS, with CSRF, the ledger in the shop's own database; Django's commit fails the first time."""
    notify = platform.body(platform.notify()).decode()
    command = [sys.executable, "-c", PROGRAM, url, json.dumps(_database(url)), notify, recipe, str(RECIPES)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    sold, heard, failed, delivered = map(json.loads, done.stdout.splitlines())
    assert sold == ["https://gateway.example/pay", "created"]
    assert heard == [200, "SUCCESS", "paid", 0, 1]
    assert failed == ["not taken, to be tried again: shop/A1001/paid", "paid", 0, 1]
    assert delivered == ["SUCCESS", "paid", 1, 0]


def _database(url: str) -> dict[str, Any]:
    """The same database, as Django's settings have it."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": url.removeprefix("sqlite:///")}
    host = dict(parse_qsl(parts.query))["host"]
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "USER": parts.username,
        "HOST": host,
    }
