"""What operators set: a value that is not understood is named in one sentence, and never shown.

It may hold a password.
"""

import warnings

import environ
from django.core.exceptions import ImproperlyConfigured

ENGINES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")
_NUMBER = "a number, or 1 and 0 for yes and no"


class Environment(environ.FileAwareEnv):
    """DATABASE_URL_FILE names a file that holds DATABASE_URL, and so with every setting."""

    def get_value(self, var, *args, **kwargs):
        try:
            value = super().get_value(var, *args, **kwargs)
        except ValueError:
            raise _not_understood(var, _NUMBER) from None
        except OSError as error:
            raise ImproperlyConfigured(f"The file of {var}_FILE cannot be read: {error.strerror}.") from None
        return value.rstrip("\n") if isinstance(value, str) else value

    def count(self, var: str, default: int, *, at_least: int = 0) -> int:
        found = self.int(var, default=default)
        if found < at_least:
            raise _not_understood(var, f"a whole number, {at_least} or more")
        return found

    def database(self, var: str, default: str) -> dict:
        expected = "as postgres://user:password@host/name or sqlite:////folder/file"
        found = self._parsed(var, default, self.db_url_config, expected)
        if found.get("ENGINE") not in ENGINES or found["NAME"] in ("", ":memory:"):
            raise _not_understood(var, expected)
        return found

    def email(self, var: str, default: str) -> dict:
        expected = "as smtp://host:25, smtp+tls:// or smtp+ssl://user:password@host:465"
        return self._parsed(var, default, self.email_url_config, expected)

    def redis(self, var: str) -> str:
        url = self(var, default="")
        if url and not url.startswith(("redis://", "rediss://", "unix://")):
            raise _not_understood(var, "as redis://host:6379/0")
        return url

    def _parsed(self, var: str, default: str, parse, expected: str) -> dict:
        value = self(var, default=default)
        try:
            with warnings.catch_warnings(action="ignore"):  # it shows the password
                return parse(value)
        except (ValueError, ImproperlyConfigured):
            raise _not_understood(var, expected) from None


def _not_understood(var: str, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{var} is not understood. It is {expected}; see .env.example.")
