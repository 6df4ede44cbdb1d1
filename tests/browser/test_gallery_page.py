"""Every page as people see it: nothing keeps anybody out, and a picture of each lies in build/screenshots."""

from datetime import UTC, datetime
from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse

from accounts import actions, invitations
from mail.models import Message
from tests.browser.conftest import BUILD, sign_in
from tests.browser.gallery import Gallery
from tests.servers.ports import free_port

pytestmark = pytest.mark.django_db(transaction=True)
WIDTHS = (1280, 390)
STRANGERS = ("sign_in", "recover", "sign_up")


@pytest.fixture
def gallery(anna, connect, dovecot, sync, settings):
    settings.MAILHELPER_OPEN_SIGN_UP = True
    type(anna.user).objects.filter(pk=anna.user.pk).update(is_staff=True, is_superuser=True)
    anna.user.refresh_from_db()
    invitations.invite(anna.user, makes_operator=False)
    return Gallery(anna, connect, dovecot, sync)


def pages_of(gallery) -> dict[str, str]:
    """Path by name of the picture."""
    message = Message.objects.filter(account=gallery.gmail).order_by("internal_date").last()
    named = {
        "overview": reverse("overview"),
        "mail": reverse("mail"),
        "message": reverse("message", args=[message.pk]),
        "accounts": reverse("accounts"),
        "add-account": reverse("add_account"),
        "history": reverse("history"),
        "job-running": reverse("job", args=[gallery.running_job.pk]),
        "job-failed": reverse("job", args=[gallery.ended_job.pk]),
        "notifications": reverse("notifications"),
        "alerts": reverse("alerts"),
        "settings": reverse("settings"),
        "tokens": reverse("tokens"),
        "people": reverse("people"),
        "delete-me": reverse("delete_me"),
        "unlock": reverse("unlock"),
        "not-found": "/no/such/page/",
    }
    for name in ("account", "edit_account", "new_password", "delete_account"):
        named[name.replace("_", "-")] = reverse(name, args=[gallery.posteo.pk])
    return named | {"account-healthy": reverse("account", args=[gallery.gmx.pk])}


def type_an_address(page, site, anna) -> None:
    page.goto(f"{site}{reverse('add_account')}")
    page.locator("[name=address]").fill("anna@gmx.de")
    page.locator("main button.main").click()


def try_in_vain(page, site, anna) -> None:
    """A port where nobody listens."""
    type_an_address(page, site, anna)
    page.locator("[name=host]").fill("localhost")
    page.locator("[name=port]").fill(str(free_port()))
    page.locator("[name=secret]").fill("a password of the mailbox")
    page.locator("main button.main").click()
    page.locator("#correct").wait_for()


def make_a_recovery_key(page, site, anna) -> None:
    page.goto(f"{site}{reverse('settings')}")
    form = page.locator(f"form[action*='{reverse('new_recovery_key')}']")
    form.locator("[type=password]").fill(anna.password)
    form.locator("button").click()
    page.locator("pre.key").wait_for()


def make_a_token(page, site, anna) -> None:
    page.goto(f"{site}{reverse('tokens')}")
    page.locator("[name=name]").fill(f"Script of {datetime.now(UTC)}")
    page.locator("main button.main").click()
    page.locator("pre.secret").wait_for()


SHOWN_ONLY_AFTER_A_FORM = {
    "token": make_a_token,
    "add-account-gmx": type_an_address,
    "trial-failed": try_in_vain,
    "recovery-key": make_a_recovery_key,
}


def violations(page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def look(page, path: str, name: str, scheme: str, *, pictures: bool) -> list[str]:
    page.goto(path)
    return look_here(page, name, scheme, pictures=pictures)


def look_here(page, name: str, scheme: str, *, pictures: bool) -> list[str]:
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"{name} {width} {scheme}: {one}" for one in violations(page)]
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append(f"{name} {width}: is wider than the window")
        if pictures:
            page.screenshot(path=BUILD / f"{name}-{width}-{scheme}.png", full_page=True)
            page.screenshot(path=BUILD / "top" / f"{name}-{width}-{scheme}.png")
    return found


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("en", "dark"), ("de", "light")])
def test_no_page_keeps_anybody_out(gallery, live_server, visitor, anna, language, scheme):
    actions.set_language(anna.user, language)
    actions.set_time_zone(anna.user, "Europe/Berlin")
    stranger, hers = (visitor(scheme=scheme, language=language) for _ in range(2))
    sign_in_in = {"en": sign_in, "de": partial(sign_in, words=("E-Mail-Adresse", "Passwort", "Anmelden"))}
    sign_in_in[language](hers, live_server.url, anna.user.email, anna.password)
    found = []
    for name in STRANGERS:
        path = live_server.url + reverse(name)
        found += look(stranger, path, name.replace("_", "-"), scheme, pictures=language == "en")
    for name, path in pages_of(gallery).items():
        found += look(hers, live_server.url + path, name, scheme, pictures=language == "en")
    for name, show in SHOWN_ONLY_AFTER_A_FORM.items():
        show(hers, live_server.url, anna)
        found += look_here(hers, name, scheme, pictures=language == "en")
    assert not found, "\n".join(found)


def test_the_documents_of_the_api_stand_here_alone(live_server, visitor, db):
    """The visitor's page notes requests elsewhere and what the browser complains of."""
    page = visitor()
    page.goto(live_server.url + reverse("api:openapi-view"))
    page.get_by_text("/api/jobs/fetch").first.click()
    page.get_by_text("A token needs the scope").first.wait_for()
