"""What may be told of an exception: its type and places in our code. Its words may be anybody's."""

import traceback
from pathlib import Path

LONGEST_TRACE = 20  # of a recursion

_OURS = str(Path(__file__).resolve().parent.parent)


def named(error: BaseException) -> dict[str, str]:
    """The exception's type and the innermost place in our own code."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next(reversed(_of_ours(frames) or frames), None)
    return {"exception": type(error).__name__} | ({"where": _place(last)} if last else {})


def told(error: BaseException) -> dict[str, str | list[str]]:
    """The same, with the whole way through our code and the types of what led to it."""
    ours = _of_ours(traceback.extract_tb(error.__traceback__))[-LONGEST_TRACE:]
    way = [f"{_place(frame)} {frame.name}" for frame in ours]
    causes = [type(cause).__name__ for cause in _causes(error)]
    return named(error) | ({"trace": way} if way else {}) | ({"causes": causes} if causes else {})


def place_of(path: str, line: int) -> str:
    return f"{'/'.join(Path(path).parts[-2:])}:{line}"


def _of_ours(frames: traceback.StackSummary) -> list[traceback.FrameSummary]:
    return [one for one in frames if one.filename.startswith(_OURS) and "site-packages" not in one.filename]


def _place(frame: traceback.FrameSummary) -> str:
    return place_of(frame.filename, frame.lineno)


def _causes(error: BaseException) -> list[BaseException]:
    found = [error]
    while (cause := found[-1].__cause__ or found[-1].__context__) and cause not in found:
        found.append(cause)
    return found[1:]
