"""The pages of mail: the list, one mail, its HTML in a frame of its own, its files and its source."""

from functools import wraps
from uuid import UUID

from csp.constants import SELF
from csp.decorators import csp_update
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from accounts import cursors
from accounts.errors import SealBroken
from accounts.pages import with_user_key
from mail import listing, reading
from mail.downloads import as_file, download
from mail.forms import WantedForm
from mail.models import Message
from mail.sanitise import DOCUMENT

# A mail may act nowhere: no script, no form, no request but, where they were asked for, remote pictures.
FRAME = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:{remote}; frame-ancestors 'self'; form-action 'none'; base-uri 'none'"
)
NOTHING = "sandbox; default-src 'none'; frame-ancestors 'none'"


@never_cache
@with_user_key
@require_GET
def mail_list(request, user_key):
    mailboxes = listing.mailboxes_of(request.user, user_key)
    form = WantedForm(request.GET, mailboxes)
    edges = {"older_than": _place(request, "older"), "newer_than": _place(request, "newer")}
    page = listing.page_of(request.user, user_key, mailboxes, form.wanted(), **edges)
    context = {
        "form": form,
        "narrowed": form.wanted() != listing.Wanted(),
        "page": page,
        "older": page.older and _link(request, "older", page.older),
        "newer": page.newer and _link(request, "newer", page.newer),
        "accounts": mailboxes.accounts,
        "locked_out": len(mailboxes.accounts) - len(mailboxes.keys),
        "quarantined": listing.quarantined(mailboxes),
    }
    return render(request, "mail/list.html", context, status=422 if form.errors else 200)


def _place(request, name: str) -> listing.Place | None:
    place = cursors.read(request.GET.get(name, ""))
    return place and listing.Place(*place)


def _link(request, name: str, place: listing.Place) -> str:
    """The same wish from another place on."""
    query = request.GET.copy()
    for other in ("older", "newer"):
        query.pop(other, None)
    query[name] = cursors.write(place.at, place.message_id)
    return f"?{query.urlencode()}"


@never_cache
@with_user_key
@csp_update({"frame-src": [SELF]})
@require_GET
def message(request, user_key, message_id):
    row = _own(request, message_id)
    return render(request, "mail/message.html", reading.page_of(row, user_key, _remote(request)))


def _part_of_a_mail(view):
    """Calls view(request, mail, …); where a seal does not open, there is nothing at this address."""

    @never_cache
    @with_user_key
    @require_GET
    @wraps(view)
    def guarded(request, user_key, message_id, **more):
        try:
            response = view(request, reading.open_mail(_own(request, message_id), user_key), **more)
        except SealBroken:
            raise Http404 from None
        response.headers.setdefault("Content-Security-Policy", NOTHING)
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return guarded


@_part_of_a_mail
@xframe_options_sameorigin
def message_html(request, mail):
    """What the page of the mail frames."""
    remote = _remote(request)
    html = mail.html(remote)
    if html is None:
        raise Http404
    response = HttpResponse(DOCUMENT + html.html)
    response.headers["Content-Security-Policy"] = FRAME.format(remote=" https:" if remote else "")
    response.headers["X-DNS-Prefetch-Control"] = "off"  # the name of a link's server may tell who reads
    return response


@_part_of_a_mail
def attachment(request, mail, number):
    if not 1 <= number <= len(mail.files):
        raise Http404
    file, data = mail.files[number - 1], mail.content.attachments[number - 1].data
    return download(data, file.content_type, file.name)


@_part_of_a_mail
def message_source(request, mail):
    return HttpResponse(mail.raw, "text/plain; charset=utf-8")


@_part_of_a_mail
def message_file(request, mail):
    return as_file(mail)


def _own(request, message_id: UUID) -> Message:
    rows = Message.objects.select_related("account__user__vault", "content_key", "body")
    return get_object_or_404(rows, pk=message_id, account__user=request.user)


def _remote(request) -> bool:
    return request.GET.get("images") == "remote"
