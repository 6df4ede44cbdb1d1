"""libFuzzer against the parser: python -m tests.fuzz.parse SECONDS; what breaks it is kept in var/fuzz."""

import sys
from pathlib import Path
from shutil import copy

import atheris

with atheris.instrument_imports(include=["mail", "email", "html"]):
    from mail.parse import Unparseable, parse_message, read_content

HOME = Path("var/fuzz")
MESSAGES = Path(__file__).parents[1] / "messages"


def read(data: bytes) -> None:
    try:
        parse_message(data)
        read_content(data)
    except Unparseable:
        pass


def main(seconds: str = "60") -> None:
    seeds, found = HOME / "seeds", HOME / "found"
    for folder in (seeds, found):
        folder.mkdir(parents=True, exist_ok=True)
    for message in MESSAGES.glob("*.eml"):
        copy(message, seeds)
    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=20000"]
    atheris.Setup(["fuzz", *limits, f"-artifact_prefix={found}/", "-print_final_stats=1", str(seeds)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
