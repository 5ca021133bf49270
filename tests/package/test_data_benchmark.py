"""The benchmark of reading data, as small as it goes."""

import json
import os
import sys

import pytest

from benchmarks.data import main
from tests.helpers.chaos_tree import write_chaos


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="private memory is read as Linux has it")
def test_it_measures_memory_speed_and_the_time_to_read(tmp_path, capsys):
    tree, place = write_chaos(tmp_path / "chaos", (1, 2, 3)), tmp_path / "place"
    place.mkdir()
    before = os.environ["DAFNET_CACHE"]
    small = ["--slices", "400", "--steps", "3", "--timed", "1", "--workers", "1"]
    main([*small, "--chaos", str(tree), "--folder", str(place)])
    assert list(place.iterdir()) == []
    assert os.environ["DAFNET_CACHE"] == before
    found = json.loads(capsys.readouterr().out)
    assert (found["memory"]["slices"], found["memory"]["steps"]) == (400, 3)
    assert 0.03 < found["memory"]["prepared_gb"] < 0.04
    # with so few steps a worker may have ended before the most is needed
    assert 0 < found["memory"]["private_mb_without_workers"] <= found["memory"]["private_mb"]
    speeds = found["pairs_per_s"]
    assert {"0", "1", "2"} <= set(speeds["loading"]["plain"])
    assert speeds["step"] > 0
    assert found["chaos"]["slices"] == 18
    assert found["chaos"]["second_s"] < found["chaos"]["first_s"]
