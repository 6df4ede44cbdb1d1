"""What the tests of mail pages share."""

import pytest
from django.test import Client

from tests.diagnostics.alerts.conftest import made_account
from tests.mail.stocked import Stock
from tests.pipeline.test_pages import signed_in


@pytest.fixture
def gmx(anna):
    """Anna's account, whose server is never asked."""
    return made_account(anna)


@pytest.fixture
def stock(anna, gmx):
    return Stock(anna, gmx)


@pytest.fixture
def browser(anna):
    """Anna's, signed in and unlocked."""
    return signed_in(Client(), anna)
