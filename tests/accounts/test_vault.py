"""Sealing: what was put in comes out in its own place, and nothing else ever does."""

import base64
import unicodedata

import pytest

from accounts import actions, hashers, vault
from accounts.errors import SealBroken, WrongRecoveryKey
from accounts.models import User, Vault

PLACE = ("accounts_mailaccount", "row 1", "sealed_connection")
ELSEWHERE = {
    "another table": ("accounts_vault", "row 1", "sealed_connection"),
    "another row": ("accounts_mailaccount", "row 2", "sealed_connection"),
    "another field": ("accounts_mailaccount", "row 1", "sealed_folder_rules"),
    "the same letters cut differently": ("accounts_mailaccount", "row 1sealed", "_connection"),
    "no place": (),
    "a longer place": (*PLACE, "more"),
}
COST = vault.Cost(memory=64, passes=1, lanes=1)
SALT = bytes(range(16))
READABLE_RECOVERY_KEY = "BIOB-IOBI-OABC-DEFG-2345-67HI-JKLM-NOPQ"


@pytest.fixture(scope="module")
def pair():
    return vault.new_key_pair()


def flipped(sealed: bytes, position: int, bit: int = 0) -> bytes:
    changed = bytearray(sealed)
    changed[position] ^= 1 << bit
    return bytes(changed)


@pytest.mark.parametrize("plaintext", [b"", b"a", b"\x00" * 32, bytes(range(256)) * 40])
def test_what_was_sealed_comes_out_again(plaintext, pair):
    key = vault.new_key()
    assert vault.unseal(key, vault.seal(key, plaintext, *PLACE), *PLACE) == plaintext
    assert vault.unseal_with(pair.private, vault.seal_to(pair.public, plaintext, *PLACE), *PLACE) == plaintext


def test_the_same_value_never_looks_the_same_twice(pair):
    key = vault.new_key()
    assert vault.seal(key, b"value", *PLACE) != vault.seal(key, b"value", *PLACE)
    assert vault.seal_to(pair.public, b"value", *PLACE) != vault.seal_to(pair.public, b"value", *PLACE)


def test_any_flipped_bit_breaks_the_seal():
    key = vault.new_key()
    sealed = vault.seal(key, b"value", *PLACE)
    for position in range(len(sealed)):
        for bit in range(8):
            with pytest.raises(SealBroken):
                vault.unseal(key, flipped(sealed, position, bit), *PLACE)


def test_a_flipped_bit_in_any_byte_breaks_a_seal_to_a_public_key(pair):
    sealed = vault.seal_to(pair.public, b"value", *PLACE)
    for position in range(len(sealed)):
        with pytest.raises(SealBroken):
            vault.unseal_with(pair.private, flipped(sealed, position, position % 8), *PLACE)


def test_a_ciphertext_cut_at_any_length_does_not_open(pair):
    key = vault.new_key()
    sealed, sealed_to = vault.seal(key, b"value", *PLACE), vault.seal_to(pair.public, b"value", *PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            vault.unseal(key, sealed[:length], *PLACE)
    for length in range(len(sealed_to)):
        with pytest.raises(SealBroken):
            vault.unseal_with(pair.private, sealed_to[:length], *PLACE)


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_ciphertext_opens_only_in_its_own_place(place, pair):
    key = vault.new_key()
    with pytest.raises(SealBroken):
        vault.unseal(key, vault.seal(key, b"value", *PLACE), *place)
    with pytest.raises(SealBroken):
        vault.unseal_with(pair.private, vault.seal_to(pair.public, b"value", *PLACE), *place)


def test_another_key_does_not_open(pair):
    with pytest.raises(SealBroken):
        vault.unseal(vault.new_key(), vault.seal(vault.new_key(), b"value", *PLACE), *PLACE)
    with pytest.raises(SealBroken):
        vault.unseal_with(vault.new_key_pair().private, vault.seal_to(pair.public, b"value", *PLACE), *PLACE)


@pytest.mark.parametrize("half", [slice(0, vault.MLKEM_SEED_BYTES), slice(vault.MLKEM_SEED_BYTES, None)])
def test_both_halves_of_the_hybrid_key_are_needed(half, pair):
    private = bytearray(pair.private)
    private[half] = vault.new_key_pair().private[half]
    with pytest.raises(SealBroken):
        vault.unseal_with(bytes(private), vault.seal_to(pair.public, b"value", *PLACE), *PLACE)


def test_the_public_key_follows_from_the_private_one(pair):
    assert vault.key_pair_of(pair.private) == pair
    assert (len(pair.private), len(pair.public)) == (96, 1216)


@pytest.mark.parametrize("length", [0, 10, 64, 95, 97])
def test_bytes_of_another_length_are_no_private_key(length):
    with pytest.raises(SealBroken):
        vault.key_pair_of(bytes(length))


def test_the_verifier_says_nothing_of_the_wrapping_key():
    keys = vault.password_keys("plain horse", SALT, COST)
    assert keys.verifier != keys.wrapping_key
    assert vault.password_keys("plain horse", SALT, COST) == keys


@pytest.mark.parametrize(
    ("password", "salt", "cost"),
    [
        ("plain horsf", SALT, COST),
        ("plain horse", SALT[::-1], COST),
        ("plain horse", SALT, vault.Cost(memory=128, passes=1, lanes=1)),
        ("plain horse", SALT, vault.Cost(memory=64, passes=2, lanes=1)),
        ("plain horse", SALT, vault.Cost(memory=64, passes=1, lanes=2)),
    ],
)
def test_another_password_salt_or_cost_gives_other_keys(password, salt, cost):
    keys, others = vault.password_keys("plain horse", SALT, COST), vault.password_keys(password, salt, cost)
    assert {keys.verifier, keys.wrapping_key}.isdisjoint({others.verifier, others.wrapping_key})


def test_a_password_is_the_same_however_its_umlauts_are_typed():
    composed, decomposed = (unicodedata.normalize(form, "Grünes Fahrräderhöfchen") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert vault.password_keys(composed, SALT, COST) == vault.password_keys(decomposed, SALT, COST)


def test_rows_hold_the_verifier_once_and_neither_password_nor_wrapping_key(anna):
    keys = hashers.keys_if_right(anna.password, anna.user.password)
    [user], [row] = User.objects.values_list(), Vault.objects.values_list()
    stored = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in (*user, *row))
    for secret in (anna.password.encode(), keys.wrapping_key, anna.user_key):
        assert not any(form in stored for form in (secret, secret.hex().encode(), base64_of(secret)))
    assert stored.count(base64_of(keys.verifier)) == 1
    assert keys.verifier not in stored


def base64_of(raw: bytes) -> bytes:
    return base64.b64encode(raw)


def test_a_row_of_another_cost_opens_with_that_cost(anna, settings):
    settings.MAILHELPER_ARGON2_COST = vault.Cost(memory=256, passes=2, lanes=2)
    assert actions.unlock(anna.user, anna.password) == anna.user_key
    actions.change_password(anna.user, anna.user_key, "another plain horse")
    assert "$m=256,t=2,p=2$" in User.objects.get().password
    assert actions.unlock(User.objects.get(), "another plain horse") == anna.user_key


@pytest.mark.parametrize(
    "typed",
    [
        READABLE_RECOVERY_KEY,
        READABLE_RECOVERY_KEY.lower(),
        READABLE_RECOVERY_KEY.replace("-", ""),
        READABLE_RECOVERY_KEY.replace("-", " "),
        f"  {READABLE_RECOVERY_KEY}\n",
        READABLE_RECOVERY_KEY.replace("-", " – "),
        READABLE_RECOVERY_KEY.replace("O", "0"),
        READABLE_RECOVERY_KEY.replace("I", "1"),
        READABLE_RECOVERY_KEY.replace("B", "8"),
        READABLE_RECOVERY_KEY.lower().translate(str.maketrans("oib", "018", "-")),
    ],
)
def test_a_recovery_key_forgives_how_it_was_typed(typed):
    assert vault.recovery_wrapping_key(typed) == vault.recovery_wrapping_key(READABLE_RECOVERY_KEY)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "----",
        READABLE_RECOVERY_KEY[:-1],
        READABLE_RECOVERY_KEY + "A",
        READABLE_RECOVERY_KEY[:-5],
        READABLE_RECOVERY_KEY + "-ABCD-EFGH",
        READABLE_RECOVERY_KEY.replace("A", "9"),
        READABLE_RECOVERY_KEY.replace("A", "Ä"),
        READABLE_RECOVERY_KEY.replace("A", "²"),
    ],
)
def test_what_is_no_recovery_key_is_refused(typed):
    with pytest.raises(WrongRecoveryKey):
        vault.recovery_wrapping_key(typed)


def test_every_letter_of_a_recovery_key_counts():
    right = vault.recovery_wrapping_key(READABLE_RECOVERY_KEY)
    for position, letter in enumerate(READABLE_RECOVERY_KEY):
        if letter != "-":
            other = "Z" if letter != "Z" else "Y"
            typed = READABLE_RECOVERY_KEY[:position] + other + READABLE_RECOVERY_KEY[position + 1 :]
            assert vault.recovery_wrapping_key(typed) != right


def test_new_recovery_keys_are_eight_groups_of_four_and_never_the_same():
    keys = {vault.new_recovery_key() for _ in range(20)}
    assert len(keys) == 20
    assert all([len(group) for group in key.split("-")] == [4] * 8 for key in keys)


def test_blind_indexes_are_equal_only_for_the_same_key_kind_and_value():
    key, other_key = vault.new_key(), vault.new_key()
    questions = [
        (key, "folder", b"INBOX"),
        (key, "folder", b"inbox"),
        (key, "message-id", b"INBOX"),
        (other_key, "folder", b"INBOX"),
        (key, "folderI", b"NBOX"),
        (key, "folder", b""),
    ]
    indexes = [vault.blind_index(*question) for question in questions]
    assert len(set(indexes)) == len(questions)
    assert indexes == [vault.blind_index(*question) for question in questions]
    assert {len(index) for index in indexes} == {32}
