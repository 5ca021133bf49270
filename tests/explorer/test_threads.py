"""Pages leave a core to the browser; evaluations compute with as many threads as the command line."""

import json
import os
import subprocess
import sys

from page_visits import ROOT

SCRIPT = """
import json, threading, torch
from dafnet_core.parallel import usable_cores
from dafnet_explorer import loading, threads

def in_a_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]

def as_found():
    with threads.as_found():
        torch.ones(100_000).exp()  # a computation must not set it back
        return torch.get_num_threads()

found = in_a_thread(torch.get_num_threads)
loading.load()
print(json.dumps({
    "command line": found,
    "cores": usable_cores(),
    "page": in_a_thread(torch.get_num_threads),
    "evaluation": in_a_thread(as_found),
    "page after it": in_a_thread(torch.get_num_threads),
}))
"""


def test_pages_leave_a_core_and_evaluations_do_not():
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(run.stdout)
    assert found["evaluation"] == found["command line"]
    assert found["page"] == found["page after it"] == max(1, min(found["command line"], found["cores"] - 1))
