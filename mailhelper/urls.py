from django.urls import path

from accounts import views as accounts
from diagnostics import views as diagnostics
from pipeline import job_views as job_pages
from pipeline import readiness
from pipeline import views as pipeline

urlpatterns = [
    path("healthz", readiness.healthz, name="healthz"),
    path("readyz", readiness.readyz, name="readyz"),
    path("", pipeline.overview, name="overview"),
    path("panel/", pipeline.panel, name="panel"),
    path("pulse/", pipeline.pulse, name="pulse"),
    path("jobs/", job_pages.history, name="history"),
    path("jobs/<uuid:job_id>/", job_pages.job, name="job"),
    path("jobs/<uuid:job_id>/news/", job_pages.job_news, name="job_news"),
    path("jobs/<uuid:job_id>/cancel/", job_pages.cancel_job, name="cancel_job"),
    path("jobs/<uuid:job_id>/retry/", job_pages.retry_job, name="retry_job"),
    path("fetch/", pipeline.fetch_all, name="fetch_all"),
    path("stop/", pipeline.stop_all, name="stop_all"),
    path("accounts/add/", pipeline.overview, name="add_account"),
    path("accounts/<uuid:account_id>/edit/", pipeline.account, name="edit_account"),
    path("accounts/<uuid:account_id>/password/", pipeline.account, name="new_password"),
    path("accounts/<uuid:account_id>/fetch/", pipeline.fetch_account, name="fetch_account"),
    path("accounts/<uuid:account_id>/", pipeline.account, name="account"),
    path("accounts/<uuid:account_id>/progress/", pipeline.account_progress, name="account_progress"),
    path("accounts/<uuid:account_id>/diagnosis/", pipeline.diagnosis, name="diagnosis"),
    path("accounts/<uuid:account_id>/diagnose/", pipeline.diagnose, name="diagnose"),
    path("accounts/<uuid:account_id>/reports/<uuid:report_id>.txt", pipeline.report_text, name="report_text"),
    path("accounts/<uuid:account_id>/retry/", pipeline.retry_quarantined, name="retry_quarantined"),
    path("accounts/<uuid:account_id>/background/", pipeline.allow_background, name="allow_background"),
    path("accounts/<uuid:account_id>/background/stop/", pipeline.stop_background, name="stop_background"),
    path("notifications/", diagnostics.notifications, name="notifications"),
    path("notifications/read/", diagnostics.read_all, name="read_all"),
    path("alerts/", diagnostics.settings_page, name="alerts"),
    path("alerts/channels/", diagnostics.add_channel, name="add_channel"),
    path("alerts/channels/<uuid:channel_id>/remove/", diagnostics.remove_channel, name="remove_channel"),
    path("alerts/channels/<uuid:channel_id>/enable/", diagnostics.enable_channel, name="enable_channel"),
    path("alerts/channels/<uuid:channel_id>/test/", diagnostics.test_channel, name="test_channel"),
    path("alerts/rules/", diagnostics.set_rules, name="set_rules"),
    path("alerts/quiet/", diagnostics.set_quiet_hours, name="set_quiet_hours"),
    path("alerts/time-zone/", diagnostics.set_time_zone, name="set_time_zone"),
    path("alerts/language/", diagnostics.set_language, name="set_language"),
    path("accounts/<uuid:account_id>/snooze/", diagnostics.snooze, name="snooze"),
    path("sign-in/", accounts.sign_in, name="sign_in"),
    path("unlock/", accounts.unlock, name="unlock"),
    path("sign-out/", accounts.sign_out, name="sign_out"),
]
