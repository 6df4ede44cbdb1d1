"""The API tokens of a person."""

from functools import partial

from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts import actions, tokens, unlocked
from accounts.models import Scope
from accounts.pages import form_part, signed_in


@never_cache
@signed_in
@require_GET
def tokens_page(request):
    return _page(request)


def _page(request, *, new=None, error=None, typed=None):
    facts = {
        "tokens": tokens.those_of(request.user),
        "scopes": [scope for scope in Scope if scope != Scope.METRICS or request.user.is_staff],
        "lifetimes": tokens.LIFETIMES,
        "accounts": request.user.mail_accounts.all(),
        "now": timezone.now(),
    }
    if error:
        typed |= {"accounts": request.POST.getlist("account")}
    else:
        typed = {"scope": Scope.READ, "days": "90"}
    return render(request, "accounts/tokens.html", facts | {"new": new, "error": error, "typed": typed})


_changes = partial(form_part, page="tokens", show=_page, done=partial(redirect, "tokens"))


@_changes("make", lasting=True)
def make_token(request):
    chosen = set(request.POST.getlist("account"))
    accounts = [one for one in request.user.mail_accounts.all() if str(one.pk) in chosen]
    keys = actions.account_keys(accounts, unlocked.user_key(request))
    asked = (request.POST.get(name, "") for name in ("name", "scope"))
    lasts = {str(days): days for days in tokens.LIFETIMES}.get(request.POST.get("days"), 0)
    return _page(request, new=tokens.make(request.user, *asked, lasts, keys))


@_changes("tokens")
def revoke_token(request, token_id):
    get_object_or_404(request.user.api_tokens, pk=token_id).delete()
