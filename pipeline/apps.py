from django.apps import AppConfig
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as N_


class PipelineConfig(AppConfig):
    name = "pipeline"
    verbose_name = gettext_lazy(N_("Work"))
    default_auto_field = "django.db.models.BigAutoField"
