"""The recipe for Django's admin: the ledger's own tables, to look at and not to touch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.dialects import postgresql
from tests.checkout.test_django import RECIPES, _database

from payhub_core.ledger import Ledger
from payhub_core.ledger.tables import heartbeats, metadata

ONE = pytest.mark.parametrize("open_checkout", ["Checkout"], indirect=True)  # both write the same rows

SETTINGS = """
import json, sys
sys.path.insert(0, sys.argv[2])
import django
from django.conf import settings
from django.urls import path
settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__", LOGGING_CONFIG=None, USE_TZ=True,
    STATIC_URL="/static/", DATABASES={"default": json.loads(sys.argv[1])},
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                    "django.contrib.messages", "django.contrib.sessions", "django_ledger"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
        "context_processors": ["django.template.context_processors.request",
                               "django.contrib.auth.context_processors.auth",
                               "django.contrib.messages.context_processors.messages"]}}])
django.setup()
"""

LOOK = (
    SETTINGS
    + """
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
urlpatterns = [path("admin/", admin.site.urls)]
call_command("migrate", verbosity=0)
clerk = User.objects.create_user("clerk", is_staff=True)
clerk.user_permissions.set(Permission.objects.filter(content_type__app_label="django_ledger"))
everybody = {"owner": User.objects.create_superuser("owner"), "clerk": clerk,
             "stranger": User.objects.create_user("stranger", is_staff=True)}
base = "/admin/django_ledger/payment/"
found = {}
for name, user in everybody.items():
    client = Client()
    client.force_login(user)
    found[name] = [client.get(base).status_code, client.get(base + "1/change/").status_code,
                   client.get(base + "add/").status_code, client.post(base + "add/", {}).status_code,
                   client.post(base + "1/change/", {"status": "paid"}).status_code,
                   client.post(base + "1/delete/", {"post": "yes"}).status_code]
client = Client()
client.force_login(clerk)
pages = {"list": base, "one": base + "1/change/", "found": base + "?q=A1001", "none": base + "?q=B2",
         "paid": base + "?status__exact=paid", "failed": base + "?status__exact=failed"}
pages = {name: client.get(address).content.decode() for name, address in pages.items()}
ours = Permission.objects.filter(content_type__app_label="django_ledger")
permissions = sorted(ours.values_list("codename", flat=True))
print(json.dumps({"found": found, "pages": pages, "permissions": permissions}))
"""
)

COLUMNS = (
    SETTINGS
    + """
from django.apps import apps
from django.db import connection
found = {}
for model in apps.get_app_config("django_ledger").get_models():
    found[model._meta.db_table] = {
        field.column: [field.db_type(connection).split("(")[0].split(" ")[0], field.max_length, field.null,
                       field.primary_key, field.related_model._meta.db_table if field.related_model else None]
        for field in model._meta.concrete_fields}
print(json.dumps(found))
"""
)


def run(program: str, url: str) -> Any:
    command = [sys.executable, "-c", program, json.dumps(_database(url)), str(RECIPES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


#: How Django calls the types of PostgreSQL.
TYPES = {
    "BIGINT": "bigint",
    "INTEGER": "integer",
    "TEXT": "text",
    "VARCHAR": "varchar",
    "TIMESTAMP": "timestamp",
}


@pytest.mark.postgresql
def test_the_models_have_the_columns_that_the_tables_have(postgres: Any) -> None:
    """Type, length, NULL and key of each; the table of heartbeats has a key of two columns, and no model."""
    tables = {
        table.name: {
            column.name: [
                TYPES[column.type.compile(postgresql.dialect()).split("(")[0].split(" ")[0]],
                getattr(column.type, "length", None),
                column.nullable,
                column.primary_key,
                next((key.column.table.name for key in column.foreign_keys), None),
            ]
            for column in table.columns
        }
        for table in metadata.sorted_tables
        if table is not heartbeats
    }
    assert run(COLUMNS, postgres.url("shared")) == tables


@ONE
def test_whoever_may_look_may_do_nothing_else(
    url: str, ledger: Ledger, open_checkout: Callable[..., Any], platform: Any, order: Any, gateway: Any
) -> None:
    """Not even the owner: no adding, no changing, no deleting; a stranger does not look."""
    checkout = open_checkout(gateway(platform.create_reply()))
    checkout.start("shop", order)
    checkout.receive("shop", platform.callback(platform.notify(actual_amount="10001")))
    before = ledger.payment("shop", "A1001")
    shown = run(LOOK, url)
    looks = [200, 200, 403, 403, 403, 403]
    assert shown["found"] == {"owner": looks, "clerk": looks, "stranger": [403] * 6}
    assert shown["permissions"] == ["view_observation", "view_payment", "view_transition"]
    assert ledger.payment("shop", "A1001") == before
    pages = shown["pages"]
    for name in ("list", "found", "paid", "one"):
        for words in ("A1001", "shop", "paid", "100.00 CNY", "100.01 CNY"):
            assert words in pages[name], (name, words)
        assert 'name="_save"' not in pages[name]
        assert "Payment ledger" in pages[name], "what it is called, not the name of its folder"
        assert "Django_Ledger" not in pages[name]
    for name in ("none", "failed"):
        assert "A1001" not in pages[name]
    for words in ("overpaid", "notify", "P2019081800134100001"):
        assert words in pages["one"]
    assert ">None<" not in pages["one"]
    assert pages["one"].count("100.01 CNY") == 2  # what is paid, and what the notify stated
