"""The list of third parties' licences."""

import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

pytestmark = pytest.mark.trust


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lock is of Python 3.11")
def test_the_list_of_licences_is_that_of_the_lock():
    subprocess.run([sys.executable, "-m", "tools.third_party", "--check"], cwd=ROOT, check=True)
