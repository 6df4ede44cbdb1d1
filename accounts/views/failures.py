"""The page for what went wrong in a page."""

import sys

from django.http import HttpResponse
from django.template.loader import render_to_string
from django.views import defaults

from accounts import advice
from accounts.errors import ErrorType, disk_is_full

INSUFFICIENT_STORAGE = 507


def server_error(request):
    """Called while the error is being handled. Nothing is read for it: that may fail as well."""
    if not disk_is_full(sys.exc_info()[1]):
        return defaults.server_error(request)
    page = render_to_string("507.html", {"advice": advice.advise(ErrorType.DISK_FULL)})
    return HttpResponse(page, status=INSUFFICIENT_STORAGE)
