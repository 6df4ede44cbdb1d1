import datetime
import imaplib
import shutil
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .certificates import make_ca
from .dovecot import CAPABILITIES, Dovecot, without

MAIL = b"Subject: hello\r\n\r\nbody\r\n"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return make_ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory, authority):
    with Dovecot(tmp_path_factory.mktemp("dovecot"), authority) as dovecot:
        yield dovecot


@pytest.fixture
def dovecot(shared, request):
    shared.add_user(request.node.name, "secret")
    return shared


@pytest.fixture
def login(request):
    return request.node.name


@pytest.fixture
def own(tmp_path, authority):
    dovecot = Dovecot(tmp_path / "own", authority)
    yield dovecot
    dovecot.close()


def strict(ca_file) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def refuses(dovecot, login, password) -> bool:
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as imap:
        try:
            imap.login(login, password)
        except imaplib.IMAP4.error as error:
            return "AUTHENTICATIONFAILED" in str(error)
    return False


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def until(happened, seconds=10):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_tls_verifies_with_the_authority(shared, host):
    shared.add_user("tls", "secret")
    with imaplib.IMAP4_SSL(host, shared.imaps_port, ssl_context=strict(shared.ca_file)) as imap:
        assert imap.login("tls", "secret")[0] == "OK"


def test_starttls(dovecot, login):
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as imap:
        assert imap.starttls(strict(dovecot.ca_file))[0] == "OK"
        assert imap.login(login, "secret")[0] == "OK"


def test_another_authority_is_refused(shared, tmp_path):
    other = make_ca(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        imaplib.IMAP4_SSL(shared.host, shared.imaps_port, ssl_context=strict(other.ca_file))


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [({"expired": True}, "expired"), ({"host": "mail.example"}, "Hostname mismatch")],
)
def test_bad_certificates_are_refused_for_the_right_reason(own, authority, wanted, reason):
    certificate, key = authority.issue(f"bad-{reason.split()[0]}", **wanted)
    own.settings = f"ssl_cert = <{certificate}\nssl_key = <{key}"
    own.start()
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        imaplib.IMAP4_SSL(own.host, own.imaps_port, ssl_context=strict(own.ca_file))


def test_wrong_password_is_refused_at_once(dovecot, login):
    began = time.monotonic()
    for _ in range(3):
        assert refuses(dovecot, login, "wrong")
    # 0.5 s each; with Dovecot's usual delay and penalty it would be 2 s, 4 s, 8 s.
    assert time.monotonic() - began < 5


def test_changed_password(dovecot, login):
    dovecot.set_password(login, "pässword: {x}")
    assert refuses(dovecot, login, "secret")
    assert dovecot.append(login, "INBOX", MAIL) == 1


def test_append_comes_back_as_given(dovecot, login):
    date = datetime.datetime(2020, 2, 29, 12, 30, tzinfo=datetime.UTC)
    uid = dovecot.append(login, "INBOX", MAIL, [r"\Seen", "$Label"], date)
    dovecot.append(login, "INBOX", b"A: \xff\r\n\r\na\rb\r\n")
    assert dovecot.served(login, "INBOX") == {uid: MAIL, uid + 1: b"A: \xff\r\n\r\na\rb\r\n"}
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as imap:
        imap.login(login, "secret")
        imap.select("INBOX", readonly=True)
        (answer,) = imap.fetch("1", "(FLAGS INTERNALDATE)")[1]
    assert set(imaplib.ParseFlags(answer)) - {rb"\Recent"} == {rb"\Seen", b"$Label"}
    assert time.mktime(imaplib.Internaldate2tuple(answer)) == date.timestamp()


@pytest.mark.parametrize(
    ("given", "served"),
    [(b"A: b\n\nx\n", b"A: b\r\n\r\nx\r\n"), (b"A: b\r\n\r\nx\0y\r\n", b"A: b\r\n\r\nx\x80y\r\n")],
)
def test_what_dovecot_makes_of_odd_bytes(shared, given, served):
    shared.add_user("odd", "secret")
    uid = shared.append("odd", "INBOX", given)
    assert shared.served("odd", "INBOX")[uid] == served


def test_many_mails(dovecot, login):
    raws = [b"Subject: %d\r\n\r\n" % number + b"x" * 70 + b"\r\n" for number in range(2500)]
    dovecot.create(login, "Viele")
    uids = dovecot.append_many(login, "Viele", raws)
    assert dovecot.served(login, "Viele") == dict(zip(uids, raws, strict=True))
    dovecot.expunge(login, "Viele", uids[:2000])
    assert dovecot.uids(login, "Viele") == set(uids[2000:])


def test_flags(dovecot, login):
    uid = dovecot.append(login, "INBOX", MAIL)
    dovecot.set_flags(login, "INBOX", uid, [r"\Flagged"])
    dovecot.set_flags(login, "INBOX", uid, [r"\Seen"])
    flags = dovecot.doveadm("fetch", "-u", login, "flags", "mailbox", "INBOX", "uid", str(uid))
    assert set(flags.split()) - {r"\Recent"} == {"flags:", r"\Seen"}


def test_folders(dovecot, login):
    for name in ("Ünï & x/y", 'quo"te', "back\\slash", "emoji 😀"):
        dovecot.create(login, name)
        assert dovecot.append(login, name, MAIL) == 1
    dovecot.delete_folder(login, 'quo"te')
    assert b"&ANw-n&AO8- &- x/y" in dovecot.listed(login)
    assert b"emoji &2D3eAA-" in dovecot.listed(login)
    assert b'quo"te' not in dovecot.listed(login)


def test_a_moved_mail_leaves_its_folder_and_a_copied_one_stays(dovecot, login):
    dovecot.create(login, "Übrig")
    uids = dovecot.append_many(login, "INBOX", [MAIL, b"A: 2\r\n\r\n", b"A: 3\r\n\r\n"])
    assert dovecot.copy(login, "INBOX", uids[:1], "Übrig") == {1: 1}
    assert dovecot.move(login, "INBOX", uids[1:], "Übrig") == {2: 2, 3: 3}
    assert dovecot.served(login, "INBOX") == {1: MAIL}
    assert dovecot.served(login, "Übrig") == {1: MAIL, 2: b"A: 2\r\n\r\n", 3: b"A: 3\r\n\r\n"}


def test_a_renamed_folder_keeps_uidvalidity_and_uids(dovecot, login):
    dovecot.create(login, "old")
    dovecot.append(login, "old", MAIL)
    before = dovecot.status(login, "old", "MESSAGES UIDNEXT UIDVALIDITY")
    dovecot.rename(login, "old", "new")
    assert dovecot.status(login, "new", "MESSAGES UIDNEXT UIDVALIDITY") == before
    assert before["MESSAGES"] == 1 and before["UIDNEXT"] == 2
    assert b"old" not in dovecot.listed(login)


def capabilities(dovecot, login) -> set[str]:
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as imap:
        imap.login(login, "secret")
        return set(imap.capability()[1][-1].decode().split())


def test_the_list_of_capabilities_is_dovecots_own(dovecot, login):
    assert capabilities(dovecot, login) == set(CAPABILITIES.split()) - {"SPECIAL-USE"}


@pytest.mark.parametrize(
    ("named", "hidden"),
    [
        (
            ("LIST-STATUS", "ESEARCH", "SPECIAL-USE", "MOVE"),
            {"LIST-STATUS", "ESEARCH", "SPECIAL-USE", "MOVE"},
        ),
        (("QRESYNC",), {"QRESYNC"}),
        (("CONDSTORE",), {"CONDSTORE", "QRESYNC"}),
        ((), set()),
    ],
)
def test_hidden_capabilities_are_missing_after_login(tmp_path, authority, named, hidden):
    with Dovecot(tmp_path, authority, settings=without(*named)) as dovecot:
        dovecot.add_user("ann", "secret")
        assert capabilities(dovecot, "ann") == set(CAPABILITIES.split()) - hidden


def test_a_capability_that_dovecot_never_had_cannot_be_hidden():
    with pytest.raises(ValueError, match="OBJECTID"):
        without("OBJECTID")


def test_uidvalidity(dovecot, login):
    uids = dovecot.append_many(login, "INBOX", [MAIL, MAIL])
    before = dovecot.uidvalidity(login, "INBOX")
    dovecot.set_uidvalidity(login, "INBOX", before + 7)
    assert dovecot.uidvalidity(login, "INBOX") == before + 7
    assert dovecot.uids(login, "INBOX") == set(uids)


@pytest.mark.parametrize(
    ("on_disk", "listed", "opens"),
    [
        (b'quo"te', b'quo"te', True),
        (b"back\\slash", b"back\\slash", True),
        (b"pct%star*", b"pct%star*", True),
        (b"&bad-", b"&bac-", False),
        (b"A&B", b"A&-B", False),
        (b"Caf\xc3\xa9", b"Caf&AOk-", False),
        (b"lat\xe9", b"lat&,,0-", True),
        (b"~home", b"~home", False),
        (b"a..b", b"a//b", False),
    ],
)
def test_raw_folder_names(shared, request, on_disk, listed, opens):
    login = f"raw-{on_disk.hex()}"
    shared.add_user(login, "secret")
    assert listed in shared.create_raw(login, on_disk)
    with imaplib.IMAP4(shared.host, shared.imap_port) as imap:
        imap.login(login, "secret")
        quoted = listed.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        status = imap.xatom("STATUS", b'"%s"' % quoted, "(MESSAGES)")[0]
    assert status == ("OK" if opens else "NO")


def test_settings_and_separator(tmp_path, authority):
    settings = "namespace inbox {\n mailbox Sent {\n special_use = \\Sent\n auto = create\n }\n}"
    with Dovecot(tmp_path, authority, settings=settings, separator=".") as dovecot:
        dovecot.add_user("ann", "secret")
        dovecot.create("ann", "a.b")
        with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as imap:
            imap.login("ann", "secret")
            answers = imap.list()[1]
    assert rb'(\HasNoChildren \Sent) "." Sent' in answers
    assert rb'(\HasNoChildren) "." a.b' in answers


def test_kill_and_restart_keep_mail_and_ports(own):
    own.start()
    own.add_user("ann", "secret")
    own.append("ann", "INBOX", MAIL)
    open_connection = imaplib.IMAP4(own.host, own.imap_port, timeout=10)
    open_connection.login("ann", "secret")
    killed, port = own.processes(), own.imap_port
    own.kill()
    assert not any(map(is_alive, killed))
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        open_connection.noop()
    with pytest.raises(ConnectionRefusedError):
        imaplib.IMAP4("127.0.0.1", port)
    own.start()
    assert own.served("ann", "INBOX") == {1: MAIL}
    own.restart()
    assert (own.imap_port, own.served("ann", "INBOX")) == (port, {1: MAIL})


def test_stop_leaves_no_process_and_close_no_folder(own):
    own.start()
    own.add_user("ann", "secret")
    idle = imaplib.IMAP4(own.host, own.imap_port, timeout=10)
    idle.login("ann", "secret")
    running = own.processes()
    assert len(running) > 3
    base = Path(own.doveadm("config", "-h", "base_dir").strip()).parent
    began = time.monotonic()
    own.stop()
    assert time.monotonic() - began < 5
    assert not any(map(is_alive, running))
    with pytest.raises(imaplib.IMAP4.abort, match="shutting down"):
        idle.noop()
    assert base.is_dir() and not (base / "run").exists()
    own.close()
    assert not base.exists()


def test_a_broken_configuration_is_told_with_the_log(own):
    own.settings = "no_such_setting = 1"
    with pytest.raises(RuntimeError, match="no_such_setting"):
        own.start()


def test_it_dies_with_the_tests(tmp_path):
    script = (
        "import sys, time, pathlib\n"
        "from tests.servers.certificates import make_ca\n"
        "from tests.servers.dovecot import Dovecot\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "dovecot = Dovecot(folder, make_ca(folder))\n"
        "dovecot.start()\n"
        "print(dovecot.doveadm('config', '-h', 'base_dir').strip())\n"
        "print(*dovecot.processes(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tests:
        base = Path(tests.stdout.readline().decode().strip()).parent
        pids = tests.stdout.readline().split()
        assert pids
        tests.send_signal(signal.SIGKILL)
    until(lambda: not any(is_alive(int(pid)) for pid in pids))
    shutil.rmtree(base)
