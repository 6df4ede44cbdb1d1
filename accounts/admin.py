"""What operators see of people and their accounts."""

from django.contrib import admin
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as N_

from accounts import actions
from accounts.models import MailAccount, User
from accounts.operators import ReadOnlyAdmin


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    names = N_("person"), N_("people")
    list_display = ["email", "date_joined", "last_login", "is_active", "is_staff", "language"]
    list_filter = ["is_active", "is_staff", "language"]
    search_fields = ["email"]
    ordering = ["email"]


@admin.register(MailAccount)
class MailAccountAdmin(ReadOnlyAdmin):
    names = N_("account"), N_("accounts")
    list_display = ["label", "user", "provider", "port", "security", "enabled", "next_due", "status"]
    list_filter = ["enabled", "health__status", "provider", "security"]
    list_select_related = ["user", "health"]
    search_fields = ["label", "user__email"]
    actions = ["pause", "resume"]

    @admin.display(description=gettext_lazy(N_("health")), ordering="health__status")
    def status(self, account):
        return account.health.get_status_display()

    @admin.action(description=gettext_lazy(N_("Pause")))
    def pause(self, request, accounts):
        self._set_enabled(request, accounts.filter(enabled=True), False, gettext("Paused"))

    @admin.action(description=gettext_lazy(N_("Resume")))
    def resume(self, request, accounts):
        self._set_enabled(request, accounts.filter(enabled=False), True, gettext("Resumed"))

    def _set_enabled(self, request, accounts, enabled: bool, words: str):
        changed = list(accounts)
        for account in changed:
            actions.set_enabled(account, enabled)
        self.done(request, changed, words)
