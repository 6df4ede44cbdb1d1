"""For whoever runs mailhelper, in the shell: in English, as the commands speak."""

_KEY_IS_HERE = (
    "The worker key is here: accounts that may sync in the background go on when the workers start. "
    "Permissions that were taken back since then are there again, and so are earlier passwords; "
    "manage.py grants EMAIL --revoke takes a permission back."
)
_KEY_IS_LOST = (
    "The worker key of that time is not on this machine. Bring its file back, or run "
    "manage.py rotate_worker_key; after that people sign in, allow background sync again and add their "
    "alert channels anew. Their stored mail opens with their passwords as before."
)


def after_restore(*, has_worker_key: bool) -> str:
    return f"{_KEY_IS_HERE if has_worker_key else _KEY_IS_LOST} Everybody has to sign in again."
