from django.urls import path

from accounts import views as accounts
from pipeline import readiness
from pipeline import views as pipeline

urlpatterns = [
    path("healthz", readiness.healthz, name="healthz"),
    path("readyz", readiness.readyz, name="readyz"),
    path("", pipeline.overview, name="overview"),
    path("panel/", pipeline.panel, name="panel"),
    path("fetch/", pipeline.fetch_all, name="fetch_all"),
    path("stop/", pipeline.stop_all, name="stop_all"),
    path("accounts/<uuid:account_id>/fetch/", pipeline.fetch_account, name="fetch_account"),
    path("sign-in/", accounts.sign_in, name="sign_in"),
    path("unlock/", accounts.unlock, name="unlock"),
    path("sign-out/", accounts.sign_out, name="sign_out"),
]
