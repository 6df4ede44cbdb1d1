"""What operators see of health, alerts and examinations: not where alerts go, nor what a server said."""

from django.contrib import admin
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as N_

from accounts.operators import ReadOnlyAdmin
from diagnostics.models import AccountHealth, Alert, AlertDelivery, DiagnosticReport, HealthFlip


@admin.register(AccountHealth)
class AccountHealthAdmin(ReadOnlyAdmin):
    names = N_("health of an account"), N_("health of accounts")
    list_display = [
        "account",
        "owner_of_account",
        "status",
        "reason",
        "since",
        "last_success_at",
        "last_error_type",
        "quarantined",
    ]
    list_filter = ["status", "reason"]
    list_select_related = ["account__user"]
    search_fields = ["account__label", "account__user__email"]
    ordering = ["-since"]


@admin.register(HealthFlip)
class HealthFlipAdmin(ReadOnlyAdmin):
    names = N_("change of health"), N_("changes of health")
    list_display = ["at", "account", "owner_of_account", "before", "after", "reason"]
    list_filter = ["after", "reason"]
    list_select_related = ["account__user"]
    search_fields = ["account__label", "account__user__email"]


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    names = N_("alert"), N_("alerts")
    list_display = ["decided_at", "user", "account", "kind", "reason", "read_at"]
    list_filter = ["kind", "reason"]
    list_select_related = ["user", "account"]
    search_fields = ["user__email", "account__label"]


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnlyAdmin):
    names = N_("delivery of an alert"), N_("deliveries of alerts")
    list_display = [
        "due_at",
        "alert__user",
        "alert__kind",
        "channel__kind",
        "status",
        "attempts",
        "error_type",
    ]
    list_filter = ["status", "error_type", "channel__kind"]
    list_select_related = ["alert__user", "channel"]
    search_fields = ["alert__user__email"]
    ordering = ["-due_at"]

    @admin.display(description=gettext_lazy(N_("person")))
    def person(self, delivery):
        return delivery.alert.user

    @admin.display(description=gettext_lazy(N_("kind")))
    def kind(self, delivery):
        return delivery.alert.get_kind_display()

    @admin.display(description=gettext_lazy(N_("channel")))
    def through(self, delivery):
        return delivery.channel.get_kind_display()


@admin.register(DiagnosticReport)
class DiagnosticReportAdmin(ReadOnlyAdmin):
    names = N_("examination"), N_("examinations")
    list_display = ["at", "account", "owner_of_account", "passed", "seconds"]
    list_filter = ["passed"]
    list_select_related = ["account__user"]
    search_fields = ["account__label", "account__user__email"]
