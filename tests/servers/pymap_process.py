"""What tests/servers/pymap.py starts: pymap with its mails in memory and its users from a folder."""

import os
import sys
from pathlib import Path
from urllib.parse import quote

from pymap.backend import backends
from pymap.backend.dict import DictBackend
from pymap.main import main
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext


class Users:
    """In place of pymap's dictionary of users, which knows only one unless an administrator adds more."""

    def __init__(self, folder: Path, config):
        self._folder, self._config = folder, config

    def get(self, login: str) -> UserMetadata | None:
        path = self._folder / quote(login, safe="")
        return UserMetadata(self._config, login, password=path.read_text()) if path.exists() else None


class Backend(DictBackend):
    @classmethod
    async def init(cls, args, **overrides):
        backend, config = await super().init(
            args, hash_context=Cleartext(), invalid_user_sleep=0, **overrides
        )
        backend.login.users_dict = Users(Path(os.environ["USERS"]), config)
        return backend, config


if __name__ == "__main__":
    backends.add("dict", Backend)
    sys.exit(main())
