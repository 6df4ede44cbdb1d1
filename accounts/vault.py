"""Sealing and unsealing: the only module that imports cryptography.

Every sealed value is bound to its place (table, row, field), so a ciphertext that was moved does not open.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from accounts.errors import PasswordTooLong, SealBroken, WrongRecoveryKey

KEY_BYTES = 32
SALT_BYTES = 16
VERSION = b"\x01"
NONCE_BYTES = 12
RECOVERY_BYTES = 20
MAX_PASSWORD = 1_024  # normalising Unicode takes quadratic time: 240 kB took 23 s
MLKEM_SEED_BYTES = 64
MLKEM_PUBLIC_BYTES = 1184

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True)
class Cost:
    """Argon2id's price (RFC 9106): memory in KiB, passes, lanes."""

    memory: int
    passes: int
    lanes: int


@dataclass(frozen=True)
class PasswordKeys:
    """What one Argon2id gives: a verifier that may be stored, a wrapping key that may not."""

    verifier: bytes
    wrapping_key: bytes


@dataclass(frozen=True)
class KeyPair:
    """A hybrid ML-KEM-768 + X25519 key pair in raw bytes: 96 private, 1,216 public."""

    private: bytes
    public: bytes


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def new_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


def password_keys(password: str, salt: bytes, cost: Cost) -> PasswordKeys:
    """Raises PasswordTooLong."""
    if len(password) > MAX_PASSWORD:
        raise PasswordTooLong
    argon = Argon2id(
        salt=salt, length=KEY_BYTES, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory
    )
    root = argon.derive(unicodedata.normalize("NFC", password).encode())
    return PasswordKeys(subkey(root, "login verifier"), subkey(root, "wrapping key"))


def subkey(key: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=f"mailhelper {purpose}".encode()).derive(key)


def blind_index(key: bytes, kind: str, value: bytes) -> bytes:
    """A keyed digest by which equal values are found without being readable: 32 bytes."""
    return hmac.digest(subkey(key, f"blind index {kind}"), value, "sha256")


def digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)


def seal(key: bytes, plaintext: bytes, *place: object) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return VERSION + nonce + AESGCM(key).encrypt(nonce, plaintext, _binding(place))


def unseal(key: bytes, sealed: bytes, *place: object) -> bytes:
    """Raises SealBroken when the key, the place or any bit is not the one it was sealed with."""
    nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if sealed[:1] != VERSION or len(nonce) < NONCE_BYTES:
        raise SealBroken
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, _binding(place))
    except InvalidTag as error:
        raise SealBroken from error


def _binding(place: tuple[object, ...]) -> bytes:
    return json.dumps([VERSION.hex(), *map(str, place)]).encode()


def new_key_pair() -> KeyPair:
    mlkem, x25519 = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
    return _key_pair(mlkem.private_bytes_raw() + x25519.private_bytes_raw())


def key_pair_of(private: bytes) -> KeyPair:
    """Raises SealBroken when these bytes are no private key."""
    try:
        return _key_pair(private)
    except ValueError as error:
        raise SealBroken from error


def _key_pair(private: bytes) -> KeyPair:
    mlkem, x25519 = _private_parts(private)
    return KeyPair(private, mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw())


def _private_parts(private: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    return (
        MLKEM768PrivateKey.from_seed_bytes(private[:MLKEM_SEED_BYTES]),
        X25519PrivateKey.from_private_bytes(private[MLKEM_SEED_BYTES:]),
    )


def seal_to(public: bytes, plaintext: bytes, *place: object) -> bytes:
    """HPKE (RFC 9180): only the holder of the private key can open it; `place` is bound as info."""
    key = MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public[:MLKEM_PUBLIC_BYTES]),
        X25519PublicKey.from_public_bytes(public[MLKEM_PUBLIC_BYTES:]),
    )
    return VERSION + _SUITE.encrypt(plaintext, key, info=_binding(place))


def unseal_with(private: bytes, sealed: bytes, *place: object) -> bytes:
    key = MLKEM768X25519PrivateKey(*_private_parts(private))
    if sealed[:1] != VERSION:
        raise SealBroken
    try:
        return _SUITE.decrypt(sealed[1:], key, info=_binding(place))
    except (InvalidTag, ValueError) as error:
        raise SealBroken from error


def new_recovery_key() -> str:
    """160 bits to print and keep: eight groups of four letters and digits (base32, RFC 4648)."""
    text = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def recovery_wrapping_key(recovery_key: str) -> bytes:
    """Forgives case, spaces and the digits that look like letters; raises WrongRecoveryKey."""
    if len(recovery_key) > MAX_PASSWORD:
        raise WrongRecoveryKey
    letters = "".join(c for c in recovery_key.upper() if c.isalnum()).translate(str.maketrans("018", "OIB"))
    try:
        secret = base64.b32decode(letters)
    except (binascii.Error, ValueError) as error:
        raise WrongRecoveryKey from error
    if len(secret) != RECOVERY_BYTES:
        raise WrongRecoveryKey
    return subkey(secret, "recovery key")


def certificate_expiry(der: bytes) -> datetime | None:
    """Until when a certificate that nobody verified says that it is valid; None when it cannot be read."""
    try:
        return x509.load_der_x509_certificate(der).not_valid_after_utc
    except ValueError:
        return None
