#!/usr/bin/env python
import json
import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailhelper.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if sys.argv[1:2] == ["doctor"] and "--json" in sys.argv:
            failed = {"check": "settings", "verdict": "failed", "code": "not_understood"}
            print(json.dumps({"ok": False, "checks": [failed | {"sentence": str(error), "next_step": ""}]}))
            sys.exit(1)
        sys.exit(f"Settings: {error}")
