from django import template
from django.urls import reverse
from django.utils.safestring import mark_safe

register = template.Library()


@register.simple_tag(takes_context=True)
def here(context, name: str) -> str:
    """Marks the link to the page `name`, on it and on the pages below it."""
    path, target = context["request"].path, reverse(name)
    below = path.startswith(target) if target != reverse("overview") else path == target
    return mark_safe(' aria-current="page"') if below else ""
