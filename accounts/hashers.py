"""Django's password field holds the login half of the one Argon2id; the other half wraps the user key."""

import base64

from django.conf import settings
from django.contrib.auth.hashers import BasePasswordHasher

from accounts import vault


class SplitArgon2Hasher(BasePasswordHasher):
    """`argon2id_split$m=…,t=…,p=…$salt$verifier`: the only hash of a password that exists."""

    algorithm = "argon2id_split"

    def salt(self):
        return _text(vault.new_salt())

    def encode(self, password, salt):
        cost = settings.MAILHELPER_ARGON2_COST
        return encode(vault.password_keys(password, _bytes(salt), cost).verifier, _bytes(salt), cost)

    def decode(self, encoded):
        algorithm, cost, salt, verifier = encoded.split("$")
        memory, passes, lanes = (int(part.partition("=")[2]) for part in cost.split(","))
        return {
            "algorithm": algorithm,
            "cost": vault.Cost(memory, passes, lanes),
            "salt": _bytes(salt),
            "verifier": _bytes(verifier),
        }

    def verify(self, password, encoded):
        return keys_if_right(password, encoded) is not None

    def safe_summary(self, encoded):
        return {"algorithm": self.algorithm, "cost": self.decode(encoded)["cost"]}

    def must_update(self, encoded):
        return False  # a new cost means a new wrapping key, so only change_password may raise it

    def harden_runtime(self, password, encoded):
        """Nothing to even out: must_update never asks for a second derivation."""


def encode(verifier: bytes, salt: bytes, cost: vault.Cost) -> str:
    parameters = f"m={cost.memory},t={cost.passes},p={cost.lanes}"
    return f"{SplitArgon2Hasher.algorithm}${parameters}${_text(salt)}${_text(verifier)}"


def keys_if_right(password: str, encoded: str) -> vault.PasswordKeys | None:
    """Both halves of the derivation when the password is the right one."""
    if not encoded.startswith(SplitArgon2Hasher.algorithm + "$") or len(password) > vault.MAX_PASSWORD:
        return None
    stored = SplitArgon2Hasher().decode(encoded)
    keys = vault.password_keys(password, stored["salt"], stored["cost"])
    return keys if vault.same(keys.verifier, stored["verifier"]) else None


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
