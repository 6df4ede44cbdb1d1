"""A real SMTP server in this process that keeps what it takes, and misbehaves when told."""

import threading
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller

from .ports import free_port


class Mailroom:
    """`answer` replaces the yes to a recipient, `drops` closes the connection after the whole message."""

    def __init__(self):
        self.letters: list[EmailMessage] = []
        self.answer = ""
        self.drops = False
        self.arrived = threading.Event()

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if self.answer:
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        self.arrived.set()
        if self.drops:
            server.transport.abort()
        return "250 OK"


class SmtpServer:
    def __init__(self):
        self.room = Mailroom()
        self._controller = Controller(self.room, hostname="127.0.0.1", port=free_port())

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *_):
        self._controller.stop()

    @property
    def port(self) -> int:
        return self._controller.port
