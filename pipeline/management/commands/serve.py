import os
from functools import partial

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections

from accounts import invitations
from accounts.management.doors import Door
from pipeline import processes
from pipeline.watchdog import Watchdog


class Command(Door):
    help = (
        "Start the web pages and the worker on this machine; Ctrl-C stops both. "
        "Example: manage.py serve --port 8000"
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--port", type=processes.port_number, default=8000, help="another one when it is taken (8000)"
        )

    def handle(self, port, **options):
        processes.stop_like_ctrl_c()
        asked, port = port, processes.free_port(port)
        if port != asked:
            self.say(f"Port {asked} is taken, so another one is used.")
        try:
            with processes.web_and_worker(settings.BASE_DIR, port, os.environ) as running:
                here = f"http://{processes.HOST}:{port}/"
                self.say(f"mailhelper is at {here} (Ctrl-C stops it)")
                if token := invitations.invite_first_operator():
                    self.say(f"Nobody runs it yet. Sign up here, once: {invitations.link(token, here)}")
                processes.stay(running, partial(_look_at_the_scheduler, Watchdog()))
        except processes.ProcessEnded as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            pass  # stopped while starting
        self.stdout.write("Stopped.")


def _look_at_the_scheduler(watchdog):
    watchdog.look()
    connections.close_all()
