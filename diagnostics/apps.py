from django.apps import AppConfig
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as N_


class DiagnosticsConfig(AppConfig):
    name = "diagnostics"
    verbose_name = gettext_lazy(N_("Health and alerts"))
    default_auto_field = "django.db.models.BigAutoField"
