from django.apps import AppConfig
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as N_


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = gettext_lazy(N_("People and accounts"))
    default_auto_field = "django.db.models.BigAutoField"
