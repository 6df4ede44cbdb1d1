"""Writes down the API as it is now: python -m tests.api.pin"""

import os

import django

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    from tests.api.test_document import PINNED, described

    PINNED.write_text(described())
    print(f"{PINNED} is up to date.")
