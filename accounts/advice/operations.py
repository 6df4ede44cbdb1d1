"""For whoever runs mailhelper, in the shell: in English, as the commands speak."""

from accounts.advice.words import Advice

_KEY_IS_HERE = (
    "The worker key is here: accounts that may sync in the background go on when the workers start."
)
_KEY_IS_LOST = (
    "The worker key of that time is not on this machine. Bring its file back, or run "
    "manage.py rotate_worker_key; after that people sign in, allow background sync again and add their "
    "alert channels anew. Their stored mail opens with their passwords as before."
)

_AS_IT_WAS = (
    "Everybody has to sign in again, with the password of that time. API tokens, people and permissions that "
    "were removed since then are there again: remove them once more."
)


def no_space() -> str:
    return "This machine's disk is full. Free some space, then do this again; nothing that was here is lost."


def after_restore(*, has_worker_key: bool) -> str:
    return f"{_KEY_IS_HERE if has_worker_key else _KEY_IS_LOST} {_AS_IT_WAS}"


_FOUND = {
    "ok": ("All is well.", ""),
    "weak_secret_key": (
        "SECRET_KEY is short or a sample.",
        "Remove it from the environment: a good one is then made beside the worker key.",
    ),
    "debug": ("DEBUG is on: whoever meets an error sees our insides.", "Set DEBUG=0."),
    "all_hosts": (
        "ALLOWED_HOSTS lets pages answer under any name.",
        "Set it to the names under which people reach them.",
    ),
    "short_lease": (
        "MAILHELPER_LEASE_SECONDS is {seconds}: a sync that still connects may be given to another worker.",
        "Set it to 60 or more.",
    ),
    "ping_url_not_understood": (
        "MAILHELPER_PING_URL is no address: nobody notices when this machine dies.",
        "Set it to one, as https://hc-ping.com/….",
    ),
    "sender_not_understood": (
        "DEFAULT_FROM_EMAIL is no e-mail address: mail servers refuse alerts.",
        "Set it to one, as mailhelper@example.org.",
    ),
    "smtp_unreachable": (
        "Alerts by e-mail cannot be handed in: {host}, port {port}, cannot be connected to ({reason}).",
        "Check EMAIL_URL and that the mail server runs, unless nobody wants alerts by e-mail.",
    ),
    "no_url": (
        "MAILHELPER_URL is not set, so alerts hold no links.",
        "Set it to the address of the pages, as https://mail.example.org.",
    ),
    "url_not_understood": (
        "MAILHELPER_URL is no address of a page.",
        "Set it to one, as https://mail.example.org.",
    ),
    "host_not_allowed": (
        "MAILHELPER_URL leads to {host}, and ALLOWED_HOSTS does not name it: its pages answer 400.",
        "Add {host} to ALLOWED_HOSTS.",
    ),
    "plain_cookies": (
        "Cookies also travel without https (MAILHELPER_SECURE_COOKIES=0).",
        "Remove the setting, unless these pages are reached on loopback only.",
    ),
    "no_proxies": (
        "People come by https, so a proxy stands before these pages, and MAILHELPER_PROXIES is 0: all seem "
        "to come from one place, and who guesses passwords makes all of them wait.",
        "Set MAILHELPER_PROXIES to the number of your proxies.",
    ),
    "origin_not_trusted": (
        "CSRF_TRUSTED_ORIGINS does not name {origin}: forms are refused, unless the proxy runs on this "
        "machine and sends X-Forwarded-Proto.",
        "Set CSRF_TRUSTED_ORIGINS={origin}.",
    ),
    "key_readable": ("{path} can be read by others on this machine.", "chmod 600 {path}"),
    "key_among_data": (
        "{path} lies in the data folder {folder}: with it a copy of the folder opens what workers may open.",
        "Move it elsewhere and set MAILHELPER_WORKER_KEY_FILE.",
    ),
    "data_readable": ("{path} can be read by others on this machine.", "chmod 700 {path}"),
    "no_key": ("{reason}", ""),
    "little_space": (
        "The disk of {path} has only {megabytes:,} MB left.",
        "Free some space: manage.py prune --dry-run shows what is over.",
    ),
    "queue_unreachable": (
        "The queue cannot be reached: syncs begin up to a minute late.",
        "Check REDIS_URL and that Redis runs; without REDIS_URL, that the data folder can be written.",
    ),
    "unreachable": ("The database cannot be reached: {reason}", "Check DATABASE_URL and that it runs."),
    "not_migrated": ("The database is not as this version needs it.", "manage.py migrate"),
    "damaged": (
        "The database file is damaged.",
        "Stop everything, keep a copy of the file, then restore the last backup: "
        "manage.py restore DIR --replace",
    ),
    "other_worker_key": (
        "This machine has not the worker key that grants are sealed to. Where only web pages run, that is as "
        "it should be.",
        "Where workers run: bring its file back, or run manage.py rotate_worker_key and let people allow "
        "background sync again.",
    ),
    "clocks_differ": (
        "The clocks of this machine and of the database differ by {seconds} s.",
        "Let both follow NTP: leases and due times are compared between machines.",
    ),
    "clock_went_back": (
        "Something here was written in the future: this machine's clock went back, or another's goes ahead.",
        "Let all machines follow NTP; until that time is over, runs may wait.",
    ),
    "no_workers": ("No worker runs: nothing is synced.", "manage.py serve, or manage.py run_huey"),
    "no_tick": (
        "Workers run, and the scheduler does not: nothing is synced by itself.",
        "Start the workers again, one of them without --no-periodic.",
    ),
    "due_waits": (
        "A sync that is due has waited for a worker for {minutes} minutes.",
        "Start more workers, or raise MAILHELPER_WORKERS.",
    ),
    "no_backup": ("No backup was ever made.", "manage.py backup DIR"),
    "old_backup": ("The last backup was made {days} days ago.", "manage.py backup DIR"),
}


def installation(code: str, facts: dict) -> Advice:
    """What a check of the installation found."""
    sentence, step = _FOUND[code]
    return Advice(sentence.format(**facts), step.format(**facts))
