"""Accounts by the API: added, changed, deleted; how they are and what became of their mails."""

import pytest

from accounts import actions, grants
from accounts.models import GrantPurpose, MailAccount, Scope
from tests.api.conftest import by_session, by_token
from tests.api.test_jobs import work_off

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def wish(mailbox, dovecot):
    return {
        "name": "Work",
        "host": dovecot.host,
        "port": dovecot.imaps_port,
        "security": "tls",
        "login": mailbox.login,
        "password": mailbox.password,
        "ca_pem": open(dovecot.ca_file).read(),
        "background": True,
    }


def test_an_account_is_added_synced_and_read(anna, session, wish, mailbox):
    mailbox.append(b"Subject: Hello\r\n\r\nText\r\n")
    added = session.post("/accounts", wish)
    assert added.status_code == 201
    told = added.json()
    assert told == session.get(added["Location"].removeprefix("/api")).json()
    assert told["background_until"] and wish["password"] not in added.text
    assert session.get("/accounts").json() == [told]
    by_token(anna).post("/jobs/fetch")
    work_off()
    health = session.get(f"/accounts/{told['account_id']}/health").json()
    assert (health["status"], health["last_run"]["emails_fetched"]) == ("healthy", 1)
    assert session.get("/health").json() == [health]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "GMX"}, "There is already an account named GMX."),
        ({"security": "none"}, "Without TLS the password would travel readable."),
        ({"ca_pem": "nonsense"}, "The CA file holds no certificate in PEM form."),
        ({"host": "a b"}, "The host is the server's bare name, as imap.gmx.net."),
    ],
)
def test_what_cannot_be_added_is_said_and_leaves_nothing(session, account, wish, change, said, settings):
    settings.MAILHELPER_ALLOW_PLAINTEXT = False
    change = change | ({"host": "imap.example.org"} if "security" in change else {})
    answer = session.post("/accounts", wish | change)
    assert (answer.status_code, answer.json()["error_type"]) == (422, "refused")
    assert answer.json()["detail"].startswith(said)
    assert MailAccount.objects.count() == 1


def test_an_account_is_changed_and_what_is_left_out_stays(script, account):
    path = f"/accounts/{account.pk}"
    before = script.get(path).json()
    changed = script("PATCH", path, {"name": "Post", "enabled": False, "daily_budget_megabytes": 50})
    assert changed.json() == before | {"name": "Post", "enabled": False, "daily_budget_megabytes": 50}
    timed = script("PATCH", path, {"fixed_times": ["18:00", "07:30"]}).json()
    assert timed["fixed_times"] == ["07:30", "18:00"]
    assert script("PATCH", path, {"interval_minutes": 30}).json()["fixed_times"] == ["07:30", "18:00"]
    assert script("PATCH", path, {"fixed_times": [], "daily_budget_megabytes": None}).json() == (
        changed.json() | {"interval_minutes": 30, "daily_budget_megabytes": None}
    )
    assert script.post("/jobs/fetch").json()["error_type"] == "no_accounts"  # it is paused


def test_a_change_is_made_whole_or_not_at_all(script, account, connect, mailbox):
    connect(mailbox, name="Taken")
    answer = script("PATCH", f"/accounts/{account.pk}", {"interval_minutes": 30, "name": "taken"})
    assert answer.status_code == 422
    wrong = script("PATCH", f"/accounts/{account.pk}", {"interval_minutes": 30, "fixed_times": ["25:00"]})
    assert wrong.status_code == 422
    account.refresh_from_db()
    assert (account.label, account.interval_minutes) == ("GMX", 15)


def test_a_connection_is_replaced_by_an_unlocked_session_alone(anna, session, script, account, wish):
    new = {name: wish[name] for name in ("host", "port", "security", "login", "ca_pem")}
    path = f"/accounts/{account.pk}/connection"
    assert script("PUT", path, new | {"password": "another"}).json()["error_type"] == "session_only"
    assert session("PUT", path, new | {"password": "another"}).status_code == 200
    account.refresh_from_db()
    key = actions.account_key(account, anna.user_key)
    assert actions.connection_of(account, key).secret == "another"


def test_an_account_is_deleted_with_its_mail(script, account, sync, mailbox):
    mailbox.append(b"Subject: Hello\r\n\r\nText\r\n")
    sync(account)
    assert script("DELETE", f"/accounts/{account.pk}").status_code == 204
    assert script.get("/accounts").json() == []
    assert script("DELETE", f"/accounts/{account.pk}").status_code == 404


def test_completeness_names_folders_in_an_unlocked_session_alone(session, script, account, sync, mailbox):
    mailbox.append(b"Subject: 1\r\n\r\nText\r\n")
    mailbox.append(b"Subject: 2\r\n\r\nText\r\n")
    sync(account, max_mails=1)
    path = f"/accounts/{account.pk}/completeness"
    told = session.get(path).json()
    assert (told["on_server"], told["stored"], told["pending"], told["unexplained"]) == (2, 1, 1, 0)
    assert "INBOX" in [folder["name"] for folder in told["folders"]]
    assert {folder["name"] for folder in script.get(path).json()["folders"]} == {None}


def test_performance_is_told_of_one_account_or_of_all(script, account, sync, mailbox):
    mailbox.append(b"Subject: 1\r\n\r\nText\r\n")
    sync(account)
    told = script.get(f"/performance?window=7d&account={account.pk}").json()
    assert (told["attempts"], told["success_rate"], told["mails"]) == (1, 1.0, 1)
    assert [one["name"] for one in told["accounts"]] == ["GMX"]
    assert told["accounts"] == script.get("/performance").json()["accounts"]
    assert script.get("/performance?window=1y").status_code == 422


def test_notifications_are_told_and_read(script, anna, account):
    from diagnostics.alerting import alerts
    from diagnostics.models import AlertKind

    for number in range(3):
        alerts.decide(anna.user, AlertKind.BROKEN, f"k{number}", account=account, reason="auth_failed")
    page = script.get("/notifications?limit=2").json()
    assert (len(page["items"]), page["unread"]) == (2, 3)
    assert "GMX" in page["items"][0]["headline"] and page["items"][0]["next_step"]
    rest = script.get(f"/notifications?limit=2&cursor={page['next']}").json()
    assert (len(rest["items"]), rest["next"]) == (1, None)
    assert script.post("/notifications/read").json() == {"read": 3}
    assert script.get("/notifications?unread=true").json() == {"items": [], "unread": 0, "next": None}


def test_what_is_anothers_looks_unknown(anna, bert, account, connect, mailbox, sync):
    """Each operation on each kind of id."""
    grants.grant(account, actions.account_key(account, anna.user_key), GrantPurpose.BACKGROUND)
    ours = by_token(anna, accounts=[account])
    job = ours.post("/jobs/diagnostics", {"account": str(account.pk)}).json()
    mailbox.append(b"Subject: Hello\r\n\r\nText\r\n")
    work_off()
    sync(account)
    report = ours.get(f"/accounts/{account.pk}/diagnostics").json()[0]["report_id"]
    message = account.messages.get().pk
    theirs, unlocked = by_token(bert), by_session(bert)
    own = connect(mailbox, name="Bert's", owner=bert)
    for script in (theirs, unlocked):
        for method, path, body in (
            ("POST", "/jobs/fetch", {"account": str(account.pk)}),
            ("POST", "/jobs/diagnostics", {"account": str(account.pk)}),
            ("GET", f"/jobs/{job['job_id']}", None),
            ("GET", f"/jobs/{job['job_id']}/events", None),
            ("POST", f"/jobs/{job['job_id']}/cancel", None),
            ("POST", f"/jobs/{job['job_id']}/retry", None),
            ("GET", f"/jobs/history?account={account.pk}", None),
            ("GET", f"/accounts/{account.pk}", None),
            ("PATCH", f"/accounts/{account.pk}", {"name": "Mine"}),
            ("DELETE", f"/accounts/{account.pk}", None),
            ("GET", f"/accounts/{account.pk}/health", None),
            ("GET", f"/accounts/{account.pk}/completeness", None),
            ("GET", f"/accounts/{account.pk}/diagnostics", None),
            ("GET", f"/accounts/{account.pk}/diagnostics/{report}", None),
            ("GET", f"/accounts/{own.pk}/diagnostics/{report}", None),
            ("GET", f"/performance?account={account.pk}", None),
        ):
            answer = script(method, path, body)
            assert (answer.status_code, answer.json()["error_type"]) == (404, "not_found"), path
    for path in (f"/mail/{message}", f"/mail/{message}/source", f"/mail?account={account.pk}"):
        assert unlocked.get(path).status_code == 404
    assert [one["name"] for one in theirs.get("/accounts").json()] == ["Bert's"]
    assert theirs.get("/jobs/history").json()["items"] == []
    assert theirs.get("/notifications").json()["items"] == []


def test_a_token_that_reads_changes_nothing(anna, account):
    reader = by_token(anna, Scope.READ)
    assert reader("DELETE", f"/accounts/{account.pk}").status_code == 403
    assert reader.get(f"/accounts/{account.pk}").status_code == 200
