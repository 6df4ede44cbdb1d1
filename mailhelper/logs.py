"""One shape for every line of the log: ours, Django's, huey's and the web server's.

JSON for machines, readable lines on a terminal. Of others' records only what a programmer wrote comes out: no
text that was filled in, no words of an exception, no path of a request.
"""

import json
import logging.config
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from uuid import UUID

import structlog
from structlog.stdlib import ProcessorFormatter

from accounts import traces
from accounts.events import Event

# Packages whose messages were looked through. A logger's name does not tell whose they are: django-ninja
# writes to Django's, once with a whole Authorization header in its message.
_CONSTANT_WITHOUT_ARGUMENTS = {"axes", "django", "huey"}
_CONSTANT_WITH_ARGUMENTS = {*_CONSTANT_WITHOUT_ARGUMENTS, "gunicorn"}  # which else says what it was asked for

SECONDS_BETWEEN = 60

_log = structlog.stdlib.get_logger("mailhelper.logs")
_NAMES = [
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
]


def configure(config: dict) -> None:
    """What Django does with LOGGING; structlog hands its lines to the same handlers."""
    logging.config.dictConfig(config)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_NAMES,
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    threading.excepthook = _thread_failed


class NowAndThen(logging.Filter):
    """The same of one place once a minute: without a queue each thread of a worker says it twice a second.

    What names a task is told each time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self._clock, self._said_at = clock, {}

    def filter(self, record: logging.LogRecord) -> bool:
        what = record.pathname, record.lineno, str(record.exc_info and record.exc_info[0])
        if record.args:
            return True
        now = self._clock()
        if now - self._said_at.get(what, -SECONDS_BETWEEN) < SECONDS_BETWEEN:
            return False
        self._said_at[what] = now
        return True


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def formatter(readable: bool | None = None) -> ProcessorFormatter:
    """Readable lines or JSON; by default what suits this process's stderr."""
    readable = _on_terminal() if readable is None else readable
    return ProcessorFormatter(
        foreign_pre_chain=[*_NAMES, _without_what_was_filled_in],
        processors=[_without_words, ProcessorFormatter.remove_processors_meta, _plain, *_rendering(readable)],
        use_get_message=False,
        pass_foreign_args=True,
    )


def _rendering(readable: bool) -> list:
    if readable:
        return [_raised, structlog.dev.ConsoleRenderer()]
    return [structlog.processors.JSONRenderer(serializer=_as_json)]


def _raised(logger, name: str, fields: dict) -> dict:
    """ConsoleRenderer gives what is called "exception" lines of its own."""
    return {"raised" if key == "exception" else key: value for key, value in fields.items()}


def _as_json(fields: dict, **options) -> str:
    return json.dumps(fields, default=lambda value: type(value).__name__, ensure_ascii=False)


def _without_what_was_filled_in(logger, name: str, fields: dict) -> dict:
    """Another's record as an event of ours."""
    record, filled_in = fields["_record"], fields.pop("positional_args")
    if status := getattr(record, "status_code", None):
        event = Event.REQUEST_FAILED if status >= 500 else Event.REQUEST_REFUSED
        # Django says so after the middleware has let go of the request.
        names = getattr(getattr(record, "request", None), "META", {}).get("mailhelper.log", {})
        return fields | names | {"event": event, "status": status}
    said = {"event": Event.LIBRARY_SAID, "said_at": traces.place_of(record.pathname, record.lineno)}
    trusted = _CONSTANT_WITH_ARGUMENTS if filled_in else _CONSTANT_WITHOUT_ARGUMENTS
    if _package(record.pathname) in trusted and isinstance(record.msg, str):
        said["text"] = _text(record.msg, filled_in)
    return fields | said


def _package(path: str) -> str:
    return path.partition("-packages/")[2].partition("/")[0]


def _text(written: str, filled_in: tuple | Mapping) -> str:
    if isinstance(filled_in, Mapping):
        safe = {name: _number_or_gap(value) for name, value in filled_in.items()}
    else:
        safe = tuple(map(_number_or_gap, filled_in))
    with suppress(TypeError, ValueError):
        written = written % safe if safe else written
    return written.partition("\n")[0]  # gunicorn may log a whole traceback as its message


def _number_or_gap(value: object) -> object:
    return value if isinstance(value, (bool, int, float)) else "…"


def _without_words(logger, name: str, fields: dict) -> dict:
    fields.pop("stack_info", None)
    exc_info = fields.pop("exc_info", None)
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    return fields | traces.told(error) if error else fields


def _plain(logger, name: str, fields: dict) -> dict:
    return {key: str(value) if isinstance(value, UUID) else value for key, value in fields.items()}


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    if not issubclass(failed.exc_type, SystemExit):
        name = failed.thread and failed.thread.name
        _log.error(Event.THREAD_FAILED, thread=name, exc_info=failed.exc_value)
