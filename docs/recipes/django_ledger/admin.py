from django.contrib import admin

from .models import Observation, Payment, Transition


class ReadOnly:
    def has_add_permission(self, request, obj=None):
        return False

    has_change_permission = has_delete_permission = has_add_permission


class Heard(ReadOnly, admin.TabularInline):
    model = Observation
    fields = ("at", "source", "said", "gateway_id", "stated")
    readonly_fields = ("stated",)
    ordering = ("id",)


class Became(ReadOnly, admin.TabularInline):
    model = Transition
    fields = ("at", "name", "delivered_at", "resolved_at", "resolved_by", "resolution")
    ordering = ("id",)


@admin.register(Payment)
class PaymentAdmin(ReadOnly, admin.ModelAdmin):
    actions = None
    list_display = ("reference", "account", "status", "creation", "due", "paid", "refunded", "created_at")
    list_filter = ("status", "creation")
    search_fields = ("reference", "gateway_id", "account")
    ordering = ("-id",)
    show_full_result_count = False  # it would count the whole table on every page
    fields = (
        *list_display,
        "provider",
        "gateway_id",
        "paid_at",
        "expires_at",
        "attempts",
        "next_check_at",
        "updated_at",
    )
    inlines = (Became, Heard)
