"""Django's settings. Everything an operator can change is an environment variable: see ``webapp/environment.py``."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import environ

from webapp import addresses, environment, secret
from webapp.api import conf as api

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environment.check(os.environ)
FERRY_EFFECTIVE = environment.effective(os.environ)

# Nothing is ever fetched at run time: models are folders on this disk.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Folders
FERRY_DATA = (BASE_DIR / env.str("FERRY_DATA", "var")).resolve()
FERRY_MODELS = (BASE_DIR / env.str("FERRY_MODELS", "models")).resolve()
FERRY_CATALOGUE = BASE_DIR / "mlcore" / "retrieval" / "catalogue"
FERRY_DATA.mkdir(parents=True, exist_ok=True)

# Addresses
FERRY_URL = env.str("FERRY_URL", "")
_addresses = addresses.derive(FERRY_URL)
ALLOWED_HOSTS = list(_addresses.hosts)
CSRF_TRUSTED_ORIGINS = list(_addresses.origins)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _addresses.secure
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _addresses.secure else None
SECURE_HSTS_SECONDS = 31_536_000 if _addresses.secure else 0

# Security
DEBUG = env.bool("FERRY_DEBUG", False)
SECRET_KEY = env.str("FERRY_SECRET_KEY", "") or secret.load_or_make(FERRY_DATA / "secret_key")
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # subdomains and preload lists are the domain owner's to decide
    "security.W021",
    "security.W008",  # the proxy redirects; a probe or a curl on the machine itself speaks plain http
]
CSRF_FAILURE_VIEW = "webapp.errors.csrf_failure"
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # nobody can close another's account from elsewhere
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_CLIENT_IP_CALLABLE = "webapp.accounts.brake.address"
AXES_LOCKOUT_CALLABLE = "webapp.accounts.brake.refused"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/"

# Uploads
FERRY_MAX_UPLOAD = env.int("FERRY_MAX_UPLOAD_MB", 200) * 1_000_000
DATA_UPLOAD_MAX_MEMORY_SIZE = 8_000_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2_000_000
FILE_UPLOAD_TEMP_DIR = str(FERRY_DATA / "tmp")
Path(FILE_UPLOAD_TEMP_DIR).mkdir(exist_ok=True)

# Work
REDIS_URL = env.str("REDIS_URL", "")
VECTOR_STORE = env.str("VECTOR_STORE", "")
FERRY_RATES = {
    "anonymous": env.str("FERRY_RATE_ANONYMOUS", "6000/minute"),
    "member": env.str("FERRY_RATE_MEMBER", "12000/minute"),
    "write": env.str("FERRY_RATE_WRITE", "60/minute"),
}
FERRY_THREADS = env.int("FERRY_THREADS", 1)
FERRY_SEARCHES = env.int("FERRY_SEARCHES", 0) or os.cpu_count() or 2
FERRY_SEARCH_WAIT = env.float("FERRY_SEARCH_WAIT", 20.0)
FERRY_DEADLINE = env.float("FERRY_DEADLINE", 20.0)
FERRY_QUEUE = env.int("FERRY_QUEUE", 64)
FERRY_BATCH = env.int("FERRY_BATCH", 32)
FERRY_BATCH_WAIT_MS = env.float("FERRY_BATCH_WAIT_MS", 4.0)
FERRY_METRICS_TOKEN = env.str("FERRY_METRICS_TOKEN", "")
FERRY_INFERENCE = env.str("FERRY_INFERENCE", "local")
FERRY_LEASE = env.float("FERRY_LEASE", 60.0)
FERRY_HEARTBEAT = env.float("FERRY_HEARTBEAT", 5.0)
FERRY_SWEEP = env.float("FERRY_SWEEP", 15.0)
FERRY_JOBS_PER_USER = env.int("FERRY_JOBS_PER_USER", 3)
FERRY_JOB_MEMORY_MB = env.int("FERRY_JOB_MEMORY_MB", 0)
FERRY_DEVICE = env.str("FERRY_DEVICE", "auto")
FERRY_DATASETS = [folder for folder in env.str("FERRY_DATASETS", "").split(os.pathsep) if folder]

# Notices about jobs that have ended, see workers/notices.py
FERRY_WEBHOOK = environment.web_address("FERRY_WEBHOOK", env.str("FERRY_WEBHOOK", ""))
FERRY_WEBHOOK_SECRET = env.str("FERRY_WEBHOOK_SECRET", "")
FERRY_NOTIFY = [address.strip() for address in env.str("FERRY_NOTIFY", "").split(",") if address.strip()]
_mail = env.email_url("EMAIL_URL", "consolemail://")
EMAIL_BACKEND, EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_BACKEND"], _mail["EMAIL_HOST"], _mail["EMAIL_PORT"] or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"] or "", _mail["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = _mail["EMAIL_FILE_PATH"]
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("FERRY_NOTIFY_FROM", "") or (
    f"ferry@{ALLOWED_HOSTS[-1] if FERRY_URL else 'localhost'}"
)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "workers",
    "webapp.accounts",
    "webapp.search",
    "webapp.transport",
    "webapp.decoding",
    "webapp.jobs",
    "webapp.api",
]

MIDDLEWARE = [
    "webapp.middleware.RequestIdMiddleware",
    "webapp.health.HealthMiddleware",
    "webapp.metrics.MetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "webapp.middleware.ContentPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "webapp.middleware.SyncMiddleware",
]

ROOT_URLCONF = "webapp.urls"
ASGI_APPLICATION = "webapp.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "frontend" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# Database: one SQLite file in write-ahead mode, or what DATABASE_URL names.
DATABASES = {"default": env.db_url("DATABASE_URL", f"sqlite:///{FERRY_DATA / 'ferry.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000;",
    }

CACHES = {
    "default": {
        "BACKEND": "webapp.cache.OptionalRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "ferry",
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 1},
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 20_000}}
}

# Static files: hashed names once `serve` has collected them, straight from the sources before that.
STATIC_URL = "/static/"
STATIC_ROOT = FERRY_DATA / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "frontend" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "webapp.static.HashedStaticStorage"},
}
WHITENOISE_USE_FINDERS = not (STATIC_ROOT / "staticfiles.json").exists()
WHITENOISE_AUTOREFRESH = DEBUG

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

# The API
REST_FRAMEWORK = api.REST_FRAMEWORK
SPECTACULAR_SETTINGS = api.SPECTACULAR_SETTINGS

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"marks": {"()": "workers.logs.Marks"}},
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s [%(mark)s] %(message)s"},
        "json": {"()": "workers.logs.JsonLines"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": environment.one_of(
                "FERRY_LOG_FORMAT", env.str("FERRY_LOG_FORMAT", "line"), "line", "json"
            ),
            "filters": ["marks"],
        },
    },
    "root": {"handlers": ["console"], "level": env.str("FERRY_LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "faiss.loader": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
    },
}
