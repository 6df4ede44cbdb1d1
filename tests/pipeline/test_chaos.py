"""kill -9 at random moments, on the engine of this test run; make chaos does it longer."""

import random

import pytest

from tests.chaos import BOXES, chaos
from tests.conftest import Mailbox
from tests.installation import Installation, engine_of_this_run


@pytest.mark.engines
def test_thirty_kills_neither_lose_nor_double_nor_change_a_mail(dovecot, tmp_path):
    house = Installation(tmp_path, engine=engine_of_this_run())
    boxes = [Mailbox(dovecot) for _ in range(BOXES)]
    seed = random.SystemRandom().randrange(1_000_000)
    print("seed", seed)
    figures = chaos(house, boxes, 30, seed)
    print(figures)
    assert figures.kills == 30 and figures.kills_in_runs >= 10
    assert figures.errors.keys() <= {"worker_lost"}
