"""Starts trainings in children of one process that has imported torch already, so that a test can kill many of them.

Reads lines of JSON, answers each with one line:
    {"train": arguments, "said": FILE, "die": n, "poison": step} -> process id. The child writes what it says to FILE;
        it is killed in the middle of its n-th write of a file, and the images of a step are NaN.
    {"wait": process id} -> its exit status, -9 if it was killed.
    {"shell": command} -> its exit status; in this process's own mount namespace, where it has one.
"""

import json
import os
import signal
import subprocess
import sys

import train
from dafnet_core.data.dataset import PairedSlices


def die_in_write(n):
    calls, really = 0, os.fsync

    def fsync(file):
        nonlocal calls
        calls += 1
        if calls == n:
            os.ftruncate(file, os.fstat(file).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        really(file)

    os.fsync = fsync


def poison(step):
    really = PairedSlices.batch_at

    def batch_at(self, at, *arguments, **options):
        batch = really(self, at, *arguments, **options)
        if at == step:
            batch.images.fill_(float("nan"))
        return batch

    PairedSlices.batch_at = batch_at


def child(job):
    said = os.open(job["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if job.get("die"):
        die_in_write(job["die"])
    if job.get("poison") is not None:
        poison(job["poison"])
    try:
        code = train.main(job["train"])
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


for line in sys.stdin:
    job = json.loads(line)
    if "train" in job:
        pid = os.fork()
        if not pid:
            child(job)
        answer = pid
    elif "wait" in job:
        answer = os.waitstatus_to_exitcode(os.waitpid(job["wait"], 0)[1])
    else:
        answer = subprocess.run(job["shell"], shell=True, stdout=sys.stderr, check=False).returncode
    print(answer, flush=True)
