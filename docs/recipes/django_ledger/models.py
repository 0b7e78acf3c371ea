from django.db import models

from payhub_core import Money, PaymentStatus
from payhub_core.ledger import Creation


class Ours(models.Model):
    """A table of payhub's: Django makes no migration for it, and nobody may be allowed more than to look."""

    class Meta:
        abstract = True
        managed = False
        default_permissions = ("view",)


class Payment(Ours):
    id = models.BigAutoField(primary_key=True)
    account = models.TextField()
    reference = models.CharField(max_length=64)
    provider = models.TextField()
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    order_json = models.TextField()
    creation = models.CharField(max_length=16, choices=[(it, it) for it in Creation])
    status = models.CharField(max_length=32, choices=[(it, it) for it in PaymentStatus])
    facts = models.TextField()
    gateway_id = models.TextField(null=True)
    paid_minor = models.BigIntegerField(null=True)
    paid_at = models.DateTimeField(null=True)
    next_action = models.TextField(null=True)
    next_check_at = models.DateTimeField(null=True)
    attempts = models.IntegerField()
    lease = models.CharField(max_length=32, null=True)
    lease_until = models.DateTimeField(null=True)
    version = models.IntegerField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    refunded_minor = models.BigIntegerField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta(Ours.Meta):
        db_table = "payhub_payments"

    def __str__(self):
        return f"{self.account}/{self.reference}"

    def due(self):
        return Money(self.amount_minor, self.currency)

    def paid(self):
        return "" if self.paid_minor is None else Money(self.paid_minor, self.currency)

    def refunded(self):  # none is known of "refund_sum_unknown"
        return "" if self.refunded_minor is None else Money(self.refunded_minor, self.currency)


class Observation(Ours):
    id = models.BigAutoField(primary_key=True)
    payment = models.ForeignKey(Payment, models.DO_NOTHING)
    at = models.DateTimeField()
    source = models.CharField(max_length=16)
    said = models.CharField(max_length=32)
    gateway_id = models.TextField(null=True)
    paid_minor = models.BigIntegerField(null=True)
    raw = models.TextField()

    class Meta(Ours.Meta):
        db_table = "payhub_observations"

    def __str__(self):
        return f"{self.source} {self.said}"

    def stated(self):
        return "" if self.paid_minor is None else Money(self.paid_minor, self.payment.currency)


class Transition(Ours):
    id = models.BigAutoField(primary_key=True)
    payment = models.ForeignKey(Payment, models.DO_NOTHING)
    name = models.CharField(max_length=48)
    anomaly = models.TextField(null=True)
    at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField()
    attempts = models.IntegerField()
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.TextField(null=True)
    resolution = models.TextField(null=True)

    class Meta(Ours.Meta):
        db_table = "payhub_transitions"

    def __str__(self):
        return self.name
