"""The web server's log in the shape of ours (gunicorn.conf.py names it)."""

import structlog
from gunicorn.glogging import Logger

from accounts.events import Event
from mailhelper import logs

_access = structlog.stdlib.get_logger("gunicorn.access")


class OurLines(Logger):
    def _set_handler(self, log, output, fmt, stream=None):
        super()._set_handler(log, output, logs.formatter(), stream)

    def access(self, resp, req, environ, request_time):
        """A request by the name of its page: paths may hold tokens."""
        if self.access_log_enabled:
            _access.info(
                Event.REQUEST_SERVED,
                method=environ["REQUEST_METHOD"],
                status=int(str(resp.status).split()[0]),
                seconds=round(request_time.total_seconds(), 4),
                bytes=resp.sent,
                **environ.get("mailhelper.log", {}),
            )
