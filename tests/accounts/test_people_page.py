"""The page on which operators invite, deactivate and see people."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts import invitations, unlocked
from accounts.models import Invitation, User
from tests.accounts.test_people import all_rows, fresh, signed_in
from tests.accounts.test_session import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(anna):
    User.objects.filter(pk=anna.user.pk).update(is_staff=True)
    return sign_in(anna)


def link_in(page: str) -> str:
    [link] = re.findall(r"<code>(http://testserver/sign-up/[\w-]{43}/)</code>", page)
    return link.removeprefix("http://testserver")


def test_an_operator_invites_by_a_link_that_is_shown_once(operator):
    link = link_in(operator.post(reverse("invite")).text)
    assert link not in operator.get(reverse("people")).text
    assert Client().get(link)["Location"] == reverse("sign_up")
    assert not Invitation.objects.get().makes_operator


def test_an_invitation_may_make_another_operator(operator):
    page = operator.post(reverse("invite"), {"operator": "on"})
    assert "Will run this mailhelper" in page.text
    assert Invitation.objects.get().makes_operator


def test_the_link_has_the_address_that_the_operator_gave(operator, settings):
    settings.MAILHELPER_URL = "https://mail.example.org/"
    assert "<code>https://mail.example.org/sign-up/" in operator.post(reverse("invite")).text


def test_a_withdrawn_invitation_is_gone(operator):
    link = link_in(operator.post(reverse("invite")).text)
    operator.post(reverse("withdraw", args=[Invitation.objects.get().pk]))
    assert Client().get(link, follow=True).status_code == 403
    assert "None is open." in operator.get(reverse("people")).text


def test_who_is_deactivated_is_signed_out_at_once_and_may_come_back(operator, bert):
    theirs = sign_in(bert)
    operator.post(reverse("deactivate", args=[bert.user.pk]))
    assert not signed_in(theirs)
    assert "Deactivated" in operator.get(reverse("people")).text
    operator.post(reverse("activate", args=[bert.user.pk]))
    assert signed_in(sign_in(bert))


def test_an_operator_cannot_deactivate_themselves(operator, anna):
    page = operator.post(reverse("deactivate", args=[anna.user.pk]))
    assert page.status_code == 422 and "You cannot deactivate yourself." in page.text
    assert fresh(anna).is_active


def test_to_everybody_else_none_of_it_is_there(operator, bert):
    operator.post(reverse("invite"))
    theirs, before = sign_in(bert), all_rows()
    doors = [("people",), ("invite",), ("withdraw", Invitation.objects.get().pk)]
    doors += [("deactivate", bert.user.pk), ("activate", bert.user.pk)]
    for name, *args in doors:
        url = reverse(name, args=args)
        assert theirs.post(url).status_code == 404
        assert theirs.get(url, follow=True).status_code == 404
        assert Client().post(url)["Location"].startswith(reverse("sign_in"))
    assert all_rows() == before


def test_who_and_what_does_not_exist_is_not_there(operator):
    for name, pk in (("deactivate", 10**6), ("withdraw", "00000000-0000-0000-0000-000000000000")):
        assert operator.post(reverse(name, args=[pk])).status_code == 404


def test_many_people_and_invitations_take_few_queries(operator, anna, django_assert_max_num_queries):
    for number in range(30):
        User.objects.create(email=f"person{number}@example.org")
        invitations.invite(anna.user)
    with django_assert_max_num_queries(8):
        assert operator.get(reverse("people")).text.count("<li>") == 61


def test_what_changes_something_needs_its_token(operator, anna):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(anna.user, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(reverse("invite")).status_code == 403


@pytest.mark.parametrize("name", ["invite", "deactivate", "activate"])
def test_a_locked_session_lets_nobody_in_or_out(operator, bert, name):
    del operator.cookies[unlocked.COOKIE]
    url = reverse(name, args=[] if name == "invite" else [bert.user.pk])
    before = all_rows()
    answer = operator.post(url, {"operator": "on"})
    assert answer["Location"] == f"{reverse('unlock')}?next={reverse('people')}" and all_rows() == before
