"""The commands for people and accounts: what they print, refuse, and leave unreadable."""

import argparse
import io
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.management import CommandError, call_command, get_commands, load_command_class

from accounts import actions, grants
from accounts.models import GrantPurpose, KeyGrant, MailAccount, User
from accounts.providers import provider_of
from tests.accounts.test_people import all_rows, new_account

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]
APPS = ("accounts", "mail", "diagnostics", "pipeline")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSWORD = "a boat of folded paper"
BOX_PASSWORD = "plain secret of the box"
GMX = {"name": "GMX", "host": "imap.gmx.net", "port": 993, "security": "tls", "login": "anna@gmx.example"}
UNSET = {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "MAILHELPER_WORKER_KEY", "MAILHELPER_WORKER_KEY_FILE"}


def run(*arguments) -> tuple[str, str]:
    """What the command says on stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def add_account(*more, email="anna@example.org", **changes) -> tuple[str, str]:
    settings = GMX | changes
    return run("add_account", email, *(f"--{name}={value}" for name, value in settings.items()), *more)


def assert_refused(words: str, command, *arguments, status=2, **changes) -> None:
    """One clear line, the exit status, and not a byte changed."""
    before = all_rows()
    with pytest.raises(CommandError, match=words) as refused:
        command(*arguments, **changes)
    assert refused.value.returncode == status
    assert "\n" not in str(refused.value)
    assert all_rows() == before


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch):
    for name in ("PASSWORD", "NEW_PASSWORD", "IMAP_PASSWORD", "RECOVERY_KEY"):
        monkeypatch.delenv(f"MAILHELPER_{name}", raising=False)


@pytest.fixture
def secrets(anna, monkeypatch):
    """Anna's password and her mailbox's, where the commands look for them."""
    monkeypatch.setenv("MAILHELPER_PASSWORD", anna.password)
    monkeypatch.setenv("MAILHELPER_IMAP_PASSWORD", BOX_PASSWORD)
    return monkeypatch


@pytest.fixture
def password_of(monkeypatch):
    return lambda value: monkeypatch.setenv("MAILHELPER_PASSWORD", value)


def recovery_key_in(line: str) -> str:
    return line.partition("Recovery key: ")[2].strip()


def test_add_user_prints_the_recovery_key_once(password_of):
    password_of(PASSWORD)
    out, err = run("add_user", "Anna@example.org")
    [line] = [line for line in out.splitlines() if "Recovery key: " in line]
    key, user = recovery_key_in(line), User.objects.get()
    assert actions.unlock_by_recovery_key(user, key) == actions.unlock(user, PASSWORD)
    assert (out.count(key), err) == (1, "")
    assert PASSWORD not in out


def test_add_user_prints_one_json_object(password_of):
    password_of(PASSWORD)
    out, _ = run("add_user", "anna@example.org", "--json")
    answer = json.loads(out)
    assert set(answer) == {"email", "recovery_key"}
    assert actions.unlock_by_recovery_key(User.objects.get(email=answer["email"]), answer["recovery_key"])


@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("ANNA@example.org", PASSWORD, "There is already a person with the address anna@example.org"),
        ("anna", PASSWORD, "is not an e-mail address"),
        ("new@example.org", "short", "too short"),
        ("new@example.org", "", "Set MAILHELPER_PASSWORD in the environment"),
    ],
)
def test_add_user_refuses_clearly(anna, password_of, email, password, words):
    password_of(password)
    assert_refused(words, run, "add_user", email)


def our_parsers():
    for name, app in get_commands().items():
        if app in APPS:
            yield name, load_command_class(app, name).create_parser("manage.py", name)


def actions_of(parser):
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from actions_of(child)


def test_no_command_takes_a_secret_on_its_command_line():
    parsers = dict(our_parsers())
    assert {"add_user", "add_account", "change_password", "grants", "rotate_worker_key"} <= set(parsers)
    words = {
        (name, word.lower())
        for name, parser in parsers.items()
        for action in actions_of(parser)
        for word in (action.dest, *action.option_strings)
    }
    assert ("add_account", "--login") in words
    suspicious = ("password", "passphrase", "secret", "recovery_key", "recovery-key", "token")
    assert {found for found in words if any(word in found[1] for word in suspicious)} == set()


def test_add_account_connects_a_mailbox(anna, secrets):
    out, err = add_account()
    assert out.startswith("GMX is saved. The first sync shows whether it works;") and err == ""
    account = MailAccount.objects.get()
    assert (account.user, account.label, account.provider) == (anna.user, "GMX", "gmx")
    connection = actions.connection_of(account, actions.account_key(account, anna.user_key))
    assert (connection.host, connection.login, connection.secret, connection.ca_pem) == (
        *("imap.gmx.net", "anna@gmx.example", BOX_PASSWORD),
        "",
    )
    assert not KeyGrant.objects.exists()


def test_host_login_secret_and_rules_are_not_readable_in_the_row(secrets, authority):
    add_account("--include=Projekte/*", "--exclude=Geheim", f"--ca-file={authority.ca_file}")
    [row] = MailAccount.objects.values_list()
    stored = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    assert b"GMX" in stored
    for word in ("imap.gmx.net", GMX["login"], BOX_PASSWORD, "Projekte", "Geheim", "BEGIN CERTIFICATE"):
        assert word.encode() not in stored


def test_folder_rules_and_the_ca_come_back_for_the_owner(anna, secrets, authority):
    add_account("--include=A*", "--include=B", "--exclude=C", f"--ca-file={authority.ca_file}")
    account = MailAccount.objects.get()
    key = actions.account_key(account, anna.user_key)
    assert actions.filters_of(account, key) == actions.Filters(("A*", "B"), ("C",))
    assert actions.connection_of(account, key).ca_pem == authority.ca_file.read_text()


def test_add_account_offers_background_sync_only_when_asked(anna, secrets):
    out, _ = add_account("--background")
    assert "Background sync is allowed for 90 days." in out
    account = MailAccount.objects.get()
    assert grants.open_account_key(account, None) == actions.account_key(account, anna.user_key)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_security_none_is_for_this_machine(secrets, host):
    add_account(security="none", host=host)
    assert MailAccount.objects.get().security == "none"


@pytest.mark.parametrize(
    "host", ["imap.gmx.net", "192.168.0.2", "localhost.example.org", "127.0.0.1.example.org"]
)
def test_security_none_is_refused_beyond_this_machine(secrets, host):
    assert_refused("password would travel readable", add_account, security="none", host=host)


def test_security_none_is_taken_where_the_operator_allows_it(secrets, settings):
    settings.MAILHELPER_ALLOW_PLAINTEXT = True
    add_account(security="none", host="192.168.0.2")
    assert MailAccount.objects.get().security == "none"


@pytest.mark.parametrize("port", [0, -1, 65536, 10**12])
def test_a_port_that_does_not_exist_is_refused(secrets, port):
    assert_refused("is not a port: 1 to 65535", add_account, port=port)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": ""}, "must not be empty"),
        ({"host": "  "}, "must not be empty"),
        ({"login": ""}, "must not be empty"),
        ({"host": "imap.gmx.net\r\nX"}, "control characters"),
        ({"login": "anna\r\nA1 LOGOUT"}, "control characters"),
        ({"login": "anna\0"}, "control characters"),
        ({"name": ""}, "needs a name of 1 to 100 characters"),
        ({"name": " \t\n"}, "needs a name of 1 to 100 characters"),
        ({"name": "x" * 101}, "needs a name of 1 to 100 characters"),
        ({"name": "GMX\x1b[2J"}, "control character"),
        ({"name": "GMX\0"}, "control character"),
        ({"email": "nobody@example.org"}, "There is no person with the address nobody@example.org"),
    ],
)
def test_add_account_refuses_what_makes_no_account(secrets, changes, words):
    assert_refused(words, add_account, **changes)


def test_a_mailbox_password_with_control_characters_is_refused(secrets):
    secrets.setenv("MAILHELPER_IMAP_PASSWORD", "one\r\ntwo")
    assert_refused("control characters", add_account)


@pytest.mark.parametrize("name", ["GMX", "gmx", " Gmx "])
def test_a_name_is_given_only_once_per_person_in_any_case(anna, bert, secrets, name):
    new_account(anna, "GMX")
    new_account(bert, "GMX")
    assert_refused("There is already an account named", add_account, name=name)


@pytest.mark.parametrize("variable", ["MAILHELPER_PASSWORD", "MAILHELPER_IMAP_PASSWORD"])
def test_a_missing_secret_is_asked_for_by_its_variable(secrets, variable):
    secrets.delenv(variable)
    assert_refused(f"Set {variable} in the environment, or run this in a terminal", add_account)


def test_a_wrong_password_adds_no_account(secrets):
    secrets.setenv("MAILHELPER_PASSWORD", "not hers")
    assert_refused("This address and password do not belong together", add_account, status=1)


def test_a_ca_file_that_is_not_there_is_refused(secrets, tmp_path):
    for path in (tmp_path / "missing.pem", tmp_path):
        assert_refused("cannot be read as a PEM file", add_account, f"--ca-file={path}")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n",
        b"garbage",
        b"\xff\xfe\x00",
        "Prüfstelle".encode(),
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_a_ca_file_without_a_certificate_is_refused(secrets, tmp_path, content):
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    assert_refused("PEM", add_account, f"--ca-file={path}")


def test_a_ca_file_with_only_a_private_key_is_refused(secrets, authority):
    private = authority.ca_file.with_suffix(".key")
    assert_refused("holds no certificate", add_account, f"--ca-file={private}")


def test_replace_keeps_the_account_its_key_and_its_grant(anna, secrets):
    add_account("--background")
    old = MailAccount.objects.get()
    out, _ = add_account("--replace", name="gmx", host="imap.web.de", port=143, security="starttls")
    new = MailAccount.objects.get()
    assert "its stored mail stays" in out
    assert (new.pk, new.label, new.created_at) == (old.pk, "GMX", old.created_at)
    assert new.sealed_account_key == old.sealed_account_key
    assert (new.provider, new.port, new.security) == ("web.de", 143, "starttls")
    assert new.host_key != old.host_key
    key = grants.open_account_key(new, None)
    assert actions.connection_of(new, key).host == "imap.web.de"


def test_replace_needs_an_account_of_that_name_and_person(anna, bert, secrets):
    new_account(bert, "GMX")
    assert_refused("anna@example.org has no account named GMX", add_account, "--replace")


def test_replace_holds_to_the_same_rules(anna, secrets):
    new_account(anna, "GMX")
    assert_refused("travel readable", add_account, "--replace", security="none")
    assert_refused("is not a port", add_account, "--replace", port=0)
    secrets.setenv("MAILHELPER_PASSWORD", "not hers")
    assert_refused("do not belong together", add_account, "--replace", status=1)


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("imap.gmail.com", "gmail"),
        ("IMAP.GMAIL.COM.", "gmail"),
        ("gmail.com", "gmail"),
        ("imap.googlemail.com", "gmail"),
        ("notgmail.com", "other"),
        ("gmail.com.example.org", "other"),
        ("imap.gmx.net", "gmx"),
        ("outlook.office365.com", "outlook"),
        ("imap.web.de", "web.de"),
        ("posteo.de", "posteo"),
        ("localhost", "other"),
        ("192.0.2.1", "other"),
    ],
)
def test_a_provider_is_known_by_its_domain(host, provider):
    assert provider_of(host) == provider


def test_the_same_server_is_known_by_one_digest_for_all_people(anna, bert):
    keys = [
        new_account(anna, host="imap.gmx.net").host_key,
        new_account(bert, host="IMAP.GMX.NET").host_key,
        new_account(anna, "Other port", host="imap.gmx.net", port=143, security="starttls").host_key,
    ]
    assert keys[0] == keys[1] != keys[2]


def grants_of(*more) -> dict:
    out, _ = run("grants", "anna@example.org", *more, "--json")
    return {row["name"]: row for row in json.loads(out)["accounts"]}


def test_grants_are_given_listed_and_taken_back(anna, secrets):
    new_account(anna, "GMX"), new_account(anna, "Work")
    none = {"background": False, "expires_at": None, "last_used_at": None}
    with time_machine.travel(NOON, tick=False):
        assert grants_of() == {name: {"name": name} | none for name in ("GMX", "Work")}
        given = grants_of("--background", "--account=gmx")["GMX"]
        assert given["expires_at"] == (NOON + timedelta(days=90)).isoformat()
        assert {name: row["background"] for name, row in grants_of().items()} == {"GMX": True, "Work": False}
        grants.open_account_key(MailAccount.objects.get(label="GMX"), None)
        assert grants_of()["GMX"]["last_used_at"] == NOON.isoformat()
        assert "GMX: background sync until 2026-05-30 12:00 UTC" in run("grants", "anna@example.org")[0]
        assert all(row["background"] for row in grants_of("--background").values())
        assert not any(row["background"] for row in grants_of("--revoke").values())
    assert {bytes(row.sealed_key) for row in KeyGrant.objects.all()} == {b""}


def test_an_expired_grant_is_listed_as_none(anna):
    account = new_account(anna, "GMX")
    with time_machine.travel(NOON, tick=False) as clock:
        grants.grant(account, actions.account_key(account, anna.user_key), GrantPurpose.BACKGROUND)
        clock.shift(timedelta(days=90))
        assert grants_of()["GMX"]["background"] is False
        assert "GMX: background sync no" in run("grants", "anna@example.org")[0]


def test_revoking_touches_only_the_named_account_of_that_person(anna, bert):
    for owner, name in ((anna, "GMX"), (anna, "Work"), (bert, "GMX")):
        account = new_account(owner, name)
        grants.grant(account, actions.account_key(account, owner.user_key), GrantPurpose.BACKGROUND)
    run("grants", "anna@example.org", "--revoke", "--account=GMX")
    left = {(grant.account.user.email, grant.account.label) for grant in grants.valid_grants()}
    assert left == {("anna@example.org", "Work"), ("bert@example.org", "GMX")}


def test_grants_refuses_clearly(anna, secrets):
    new_account(anna, "GMX")
    assert_refused("There is no person", run, "grants", "nobody@example.org")
    assert_refused("has no account named Work", run, "grants", "anna@example.org", "--account=Work")
    secrets.setenv("MAILHELPER_PASSWORD", "not hers")
    assert_refused("do not belong together", run, "grants", "anna@example.org", "--background", status=1)


def test_grants_of_a_person_without_accounts_says_so(anna):
    assert run("grants", "anna@example.org")[0] == "anna@example.org has no accounts yet.\n"
    assert grants_of() == {}


class House:
    """A mailhelper of its own in a folder, used as an operator would: by manage.py."""

    def __init__(self, folder: Path):
        self.home, self.var = folder / "home", folder / "data"
        self.home.mkdir()
        inherited = {name: value for name, value in os.environ.items() if name not in UNSET}
        self.environment = inherited | {
            "DJANGO_SETTINGS_MODULE": "mailhelper.settings",
            "HOME": str(self.home),
            "MAILHELPER_VAR": str(self.var),
        }

    def popen(self, *arguments, secrets=(), **pipes):
        command = [sys.executable, "manage.py", *arguments]
        environment = self.environment | dict(secrets)
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, start_new_session=True, **pipes
        )

    def manage(self, *arguments, **secrets) -> tuple[int, str, str]:
        variables = {f"MAILHELPER_{name}": value for name, value in secrets.items()}
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        process = self.popen(*arguments, secrets=variables, stdin=subprocess.DEVNULL, **pipes)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def stored(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.var.rglob("*")) if path.is_file())


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    house = House(tmp_path_factory.mktemp("house"))
    assert house.manage("migrate", "--verbosity=0")[0] == 0
    return house


def assert_one_line(answer: tuple[int, str, str], status: int, words: str) -> None:
    returncode, out, err = answer
    assert (returncode, out) == (status, "")
    assert err.startswith("CommandError: ") and words in err and err.count("\n") == 1


def test_an_operator_adds_a_person_and_an_account_from_the_shell(house):
    status, out, err = house.manage("add_user", "anna@example.org", "--json", PASSWORD=PASSWORD)
    assert (status, err) == (0, "")
    recovery_key = json.loads(out)["recovery_key"]
    connect = ["add_account", "anna@example.org", *(f"--{name}={value}" for name, value in GMX.items())]
    both = {"PASSWORD": PASSWORD, "IMAP_PASSWORD": BOX_PASSWORD}
    status, out, err = house.manage(*connect, "--background", **both)
    assert (status, err) == (0, "")
    assert_one_line(house.manage(*connect, **both), 2, "There is already an account named GMX")
    assert_one_line(house.manage(*connect, **both | {"PASSWORD": "wrong"}), 1, "do not belong together")
    assert_one_line(house.manage(*connect), 2, "Set MAILHELPER_PASSWORD")
    stored = house.stored()
    for word in (PASSWORD, BOX_PASSWORD, GMX["host"], GMX["login"], recovery_key):
        assert word.encode() not in stored
    worker_key = house.home / ".config/mailhelper/worker.key"
    assert oct(worker_key.stat().st_mode & 0o777) == "0o600"
    assert worker_key.read_bytes() not in stored


def test_wrong_usage_ends_with_status_2_from_the_shell(house):
    assert_one_line(house.manage("add_user", "nobody", PASSWORD=PASSWORD), 2, "is not an e-mail address")
    assert_one_line(house.manage("grants", "nobody@example.org"), 2, "There is no person")
    status, out, err = house.manage("add_account", "anna@example.org")
    assert (status, out) == (2, "")
    assert "the following arguments are required: --name, --host, --port, --security, --login" in err


@pytest.mark.parametrize("command", ["changepassword", "createsuperuser"])
def test_djangos_own_password_commands_end_with_status_1_from_the_shell(house, command):
    assert_one_line(house.manage(command), 1, "set only by")


class Terminal:
    """A terminal in which a command asks, and that types the answers only when it is asked."""

    def __init__(self, house: House, *arguments):
        self.master, slave = pty.openpty()
        self.process = house.popen(
            *arguments, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        os.close(slave)

    def answer(self, question: str, text: str) -> None:
        heard = ""
        while not heard.endswith(question):
            letter = self.process.stderr.read(1)
            assert letter, heard
            heard += letter
        os.write(self.master, f"{text}\n".encode())

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        os.close(self.master)
        return self.process.returncode, out, err


def test_a_terminal_is_asked_twice_for_a_new_password(house):
    terminal = Terminal(house, "add_user", "typed@example.org")
    terminal.answer("New password (at least 10 characters): ", PASSWORD)
    terminal.answer("New password (at least 10 characters) again: ", PASSWORD)
    status, out, err = terminal.end()
    assert status == 0 and "typed@example.org can sign in now." in out
    assert PASSWORD not in out + err


def test_two_passwords_that_do_not_match_add_nobody(house):
    terminal = Terminal(house, "add_user", "mistyped@example.org")
    terminal.answer("New password (at least 10 characters): ", PASSWORD)
    terminal.answer("New password (at least 10 characters) again: ", PASSWORD + "!")
    status, out, err = terminal.end()
    assert (status, out) == (2, "") and "The two did not match. Nothing was changed." in err
    assert_one_line(house.manage("grants", "mistyped@example.org"), 2, "There is no person")


@pytest.mark.parametrize("option", ["--include", "--exclude"])
def test_an_empty_pattern_is_refused(option, anna, monkeypatch):
    monkeypatch.setenv("MAILHELPER_PASSWORD", anna.password)
    monkeypatch.setenv("MAILHELPER_IMAP_PASSWORD", "anything")
    connection = ("--host", "h", "--port", "993", "--security", "tls", "--login", "l")
    with pytest.raises(CommandError, match="pattern"):
        call_command("add_account", "anna@example.org", "--name", "X", *connection, option, " ")


# Filters


def filters_of_gmx(anna) -> actions.Filters:
    account = MailAccount.objects.get(label="GMX")
    return actions.filters_of(account, actions.account_key(account, anna.user_key))


def test_filters_are_shown_changed_one_by_one_and_cleared(anna, secrets):
    add_account("--include=Work/*")
    gmx = ("filters", "anna@example.org", "--name=gmx")
    assert run(*gmx)[0] == "only folders like: Work/*\n"
    out, _ = run(*gmx, "--since=2024-01-31", "--max-mail-mb=2.5")
    assert out.splitlines() == [
        "only folders like: Work/*",
        "since: 2024-01-31",
        "header alone of mails over: 2.5 MB",
        "The next sync goes by this.",
    ]
    kept = filters_of_gmx(anna)
    assert (kept.include, str(kept.since), kept.max_mail_bytes) == (("Work/*",), "2024-01-31", 2_500_000)
    out, _ = run(*gmx, "--clear")
    assert out.startswith("No filter: all mail up to 25 MB is fetched")
    assert filters_of_gmx(anna) == actions.Filters()


def test_unread_only_is_of_what_is_there_when_it_is_said(anna, secrets):
    with time_machine.travel(NOON, tick=False):
        add_account("--unread-only")
    assert filters_of_gmx(anna).unread_before == NOON


def test_replaced_settings_keep_the_filters(anna, secrets):
    add_account("--since=2024-01-31")
    add_account("--replace", host="imap.example.org")
    assert str(filters_of_gmx(anna).since) == "2024-01-31"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--since=2999-01-01", "yet to come"),
        ("--since=", "is not a day"),
        ("--max-mail-mb=30", "at most 25, the limit of this installation"),
        ("--max-mail-mb=1e-9", "more than 0"),
        ("--include=a\x1b[31mb", "control character"),
        ("--since=yesterday", "'yesterday' is not a day, such as 2024-01-31"),
        ("--max-mail-mb=0", "more than 0"),
        ("--max-mail-mb=-3", "more than 0"),
        ("--max-mail-mb=nan", "more than 0"),
        ("--include= ", "must not be empty"),
    ],
)
def test_filters_that_make_no_sense_are_refused(option, words, anna, secrets):
    add_account()
    assert_refused(words, run, "filters", "anna@example.org", "--name=GMX", option)


def test_filters_are_sealed(anna, secrets):
    add_account("--include=Geheim/*", "--since=2024-01-31")
    rows = str(all_rows())
    assert "GMX" in rows and "Geheim" not in rows and "2024-01-31" not in rows


def test_nobody_sees_or_sets_another_persons_filters(anna, bert, secrets):
    add_account()
    assert_refused("no account named GMX", run, "filters", "bert@example.org", "--name=GMX", "--clear")
