from django import template
from django.utils.formats import date_format

register = template.Library()


@register.filter(expects_localtime=True)
def moment(at):
    """As "March 1, 2026, 1 p.m. CET", in the language and time zone that are active."""
    return f"{date_format(at, 'DATETIME_FORMAT')} {at.tzname()}" if at else ""
