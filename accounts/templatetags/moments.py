from django import template
from django.utils import timezone
from django.utils.formats import date_format

register = template.Library()


@register.filter(expects_localtime=True)
def moment(at):
    """As "March 1, 2026, 1 p.m. CET", in the language and time zone that are active."""
    return f"{date_format(at, 'DATETIME_FORMAT')} {at.tzname()}" if at else ""


@register.filter(expects_localtime=True)
def short_moment(at):
    """The time alone for today, else the day as well."""
    if not at:
        return ""
    today = at.date() == timezone.localdate()
    return date_format(at, "TIME_FORMAT" if today else "SHORT_DATETIME_FORMAT")
