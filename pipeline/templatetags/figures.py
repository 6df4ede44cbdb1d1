from django import template

from pipeline.pages import words

register = template.Library()


@register.filter
def seconds(value: float | None) -> str:
    return "–" if value is None else words.seconds_text(value)


@register.filter
def percent(share: float | None) -> str:
    """100 % is all of them and nothing less."""
    return "–" if share is None else f"{int(100 * share)} %"


register.filter("phase_word", words.phase_word)
register.filter("job_word", words.job_word)
register.filter("arrow_word", words.arrow_word)
register.filter("megabytes", words.megabytes_text)
