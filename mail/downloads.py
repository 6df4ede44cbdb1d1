"""What a browser is given to keep, not to show."""

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from mail.reading import OpenMail


def download(data: bytes, content_type: str, name: str) -> HttpResponse:
    headers = {"Content-Disposition": content_disposition_header(True, name)}
    return HttpResponse(data, content_type, headers=headers)


def as_file(mail: OpenMail) -> HttpResponse:
    """To keep or to open in a mail program: byte for byte what the server sent."""
    return download(mail.raw, "message/rfc822", f"mail-{mail.message.pk}.eml")
