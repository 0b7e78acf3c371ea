from django.apps import AppConfig


class Ledger(AppConfig):
    name = "django_ledger"
    verbose_name = "Payment ledger"
