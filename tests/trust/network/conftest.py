"""A server that writes down whatever it tries to reach off this machine."""

import pytest

from tests.helpers.network import OUTSIDE
from tools.screenshots import serve
from tools.visitor import Visitor


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """Where the guarded server writes what it tried to reach off this machine."""
    path = tmp_path_factory.mktemp("outside") / "outside.log"
    path.touch()
    return path


@pytest.fixture(scope="module")
def server(outside):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(OUTSIDE))
        patch.setenv("DAFNET_OUTSIDE", str(outside))
        with serve() as found:
            yield found


@pytest.fixture
def visitor(server):
    found = Visitor(server[0])
    yield found
    found.close()
