"""Every setting; what an operator may change is read from the environment (see .env.example)."""

import os
from datetime import timedelta
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from accounts.keyfile import read_or_make
from accounts.vault import Cost
from mailhelper.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()
env.read_env(BASE_DIR / ".env")

VAR = Path(env("MAILHELPER_VAR", default=BASE_DIR / "var")).expanduser().resolve()

# Keys stay out of the data folder, so that its backup opens nothing.
MAILHELPER_WORKER_KEY = os.environ.get("MAILHELPER_WORKER_KEY", "")  # its _FILE is made when it is missing
MAILHELPER_WORKER_KEY_FILE = Path(
    env("MAILHELPER_WORKER_KEY_FILE", default="~/.config/mailhelper/worker.key")
).expanduser()
MAILHELPER_ALLOW_PLAINTEXT = env.bool("MAILHELPER_ALLOW_PLAINTEXT", default=False)
MAILHELPER_ALLOW_PRIVATE_HOSTS = env.bool("MAILHELPER_ALLOW_PRIVATE_HOSTS", default=False)
MAILHELPER_MAX_MAIL_BYTES = env.count("MAILHELPER_MAX_MAIL_BYTES", 25 * 1000 * 1000, at_least=1)
MAILHELPER_WORKERS = env.count("MAILHELPER_WORKERS", 8, at_least=1)
MAILHELPER_ARGON2_COST = Cost(memory=64 * 1024, passes=3, lanes=4)
MAILHELPER_LEASE_SECONDS = env.count("MAILHELPER_LEASE_SECONDS", 60, at_least=1)
MAILHELPER_CONNECTIONS_PER_HOST = env.count("MAILHELPER_CONNECTIONS_PER_HOST", 10, at_least=1)
MAILHELPER_URL = env("MAILHELPER_URL", default="")
MAILHELPER_PING_URL = env("MAILHELPER_PING_URL", default="")
MAILHELPER_KEEP_RUNS_DAYS = env.count("MAILHELPER_KEEP_RUNS_DAYS", 90)
MAILHELPER_KEEP_ALERTS_DAYS = env.count("MAILHELPER_KEEP_ALERTS_DAYS", 180)
MAILHELPER_OPEN_SIGN_UP = env.bool("MAILHELPER_OPEN_SIGN_UP", default=False)
MAILHELPER_PROXIES = env.count("MAILHELPER_PROXIES", 0)
MAILHELPER_FAILURES_PER_CLIENT = env.count("MAILHELPER_FAILURES_PER_CLIENT", 50, at_least=1)
MAILHELPER_API_REQUESTS_PER_MINUTE = env.count("MAILHELPER_API_REQUESTS_PER_MINUTE", 300, at_least=1)


def _new_secret_key() -> bytes:
    from django.core.management.utils import get_random_secret_key

    return get_random_secret_key().encode()


try:
    VAR.mkdir(parents=True, exist_ok=True, mode=0o700)
    SECRET_KEY = env("SECRET_KEY", default="") or (
        read_or_make(MAILHELPER_WORKER_KEY_FILE.with_name("secret.key"), _new_secret_key).decode()
    )
except OSError as error:
    raise ImproperlyConfigured(
        f"{error.filename} cannot be written ({error.strerror}): set MAILHELPER_VAR, "
        "MAILHELPER_WORKER_KEY_FILE or SECRET_KEY."
    ) from error
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
FILE_UPLOAD_HANDLERS = ["mailhelper.uploads.NoFiles"]
SECURE_COOKIES = env.bool("MAILHELPER_SECURE_COOKIES", default=True)

INSTALLED_APPS = [
    "accounts",  # before django.contrib.auth, whose password commands it replaces
    "mail",
    "diagnostics",
    "pipeline",
    "mailhelper.apps.OperatorsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "axes",
    "django_htmx",
    "ninja",  # its pages, for the documents of the API
    "huey.contrib.djhuey",
]
MIDDLEWARE = [
    "accounts.middleware.in_the_log",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.in_the_readers_terms",
    "mailhelper.api.problems_only",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "mailhelper.urls"
WSGI_APPLICATION = "mailhelper.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,  # the operators' pages are Django's
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.context.vault_state",
                "diagnostics.context.unread_alerts",
            ]
        },
    }
]

DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{VAR / 'mailhelper.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
elif DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # To compile the query of a list of mails takes PostgreSQL 2 s, to run it 20 ms.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("options", "-c jit=off")

REDIS_URL = env.redis("REDIS_URL")
HUEY = {
    "name": "mailhelper",
    "results": False,
    "immediate": False,
    "consumer": {
        "workers": MAILHELPER_WORKERS,
        "worker_type": "thread",
        "max_delay": 0.5,  # the default lets an idle queue wait up to 10 s
        "graceful_signal": "TERM",
    },
} | (
    {"huey_class": "pipeline.queues.RedisQueue", "url": REDIS_URL}
    if REDIS_URL
    else {"huey_class": "pipeline.queues.EmbeddedQueue", "filename": str(VAR / "queue.sqlite3")}
)

if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

vars().update(env.email("EMAIL_URL", "smtp://localhost:25"))
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default="mailhelper@localhost")

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = ["accounts.hashers.SplitArgon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["accounts.throttle.Backend", "django.contrib.auth.backends.ModelBackend"]
AXES_HANDLER = "accounts.throttle.Handler"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "accounts.throttle.blind_name"
AXES_CLIENT_IP_CALLABLE = "accounts.throttle.client_address"
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username"]
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "overview"

SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "mailhelper" / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "mailhelper" / "static"]
WHITENOISE_USE_FINDERS = True  # nothing to collect before the first start

LOGGING_CONFIG = "mailhelper.logs.configure"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": "mailhelper.logs.formatter"}},
    "filters": {"now_and_then": {"()": "mailhelper.logs.NowAndThen"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "lines"},
        "queue": {"class": "logging.StreamHandler", "formatter": "lines", "filters": ["now_and_then"]},
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "mailhelper": {"level": "INFO"},
        # Django's own handlers have their own shape.
        "django": {"handlers": [], "level": "WARNING"},
        "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
        # With a handler of its own, or the consumer adds one and prints each line twice.
        "huey": {"level": "WARNING", "handlers": ["queue"], "propagate": False},
    },
}
