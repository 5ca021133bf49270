"""Training that is killed or starved goes on to the same weights, or ends with one sentence."""

import os
import random
import shutil
import signal
import time

import pytest
import torch

import train
from dafnet_core.data.phantom import write_folder
from dafnet_core.training.log import Log
from tests.helpers.commands import TINY
from tests.helpers.refused import refused
from tests.helpers.training_processes import Server, check_every_file, check_same_as, rows_in

pytestmark = [pytest.mark.trust, pytest.mark.slow]
STEPS = [*TINY, "--steps", "24", "--validate-every", "8", "--save-every", "2", "--adversarial-from", "4"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    found = Server(tmp_path_factory.mktemp("said"))
    yield found
    found.process.stdin.close()
    found.process.wait(30)


@pytest.fixture(scope="module")
def straight(server, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    run = tmp_path_factory.mktemp("runs") / "straight"
    status, said = server.run(*STEPS, "--out", run)
    assert status == 0, said
    return run


def test_killed_at_ten_moments_it_resumes_to_the_same_weights(server, straight, tmp_path):
    """Five kills at seeded moments between and in steps, five in the middle of a seeded write of a file."""
    rng, run = random.Random(6), tmp_path / "run"
    for n in range(10):
        go_on = ["--resume"] if (run / "config.json").exists() else STEPS
        if n % 2:
            status, _ = server.run(*go_on, "--out", run, die=rng.randint(1, 6))
        else:
            wanted = rows_in(run / "log.csv") + rng.randint(1, 2)
            pid, said = server.start(*go_on, "--out", run)
            deadline = time.monotonic() + 60
            while rows_in(run / "log.csv") < wanted and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.05))
            os.kill(pid, signal.SIGKILL)
            status = server.ask(wait=pid)
        assert status == -signal.SIGKILL
        if run.exists():
            check_every_file(run)
    status, said = server.run("--out", run, "--resume")
    assert status == 0, said
    check_same_as(straight, run)


def test_killed_before_anything_was_saved_it_starts_again(server, straight, tmp_path):
    run = tmp_path / "run"
    assert server.run(*STEPS, "--out", run, die=1)[0] == -signal.SIGKILL
    assert [p.suffix for p in run.iterdir()] == [".part"]  # half of config.json: there is nothing to resume
    assert server.run(*STEPS, "--out", run, die=4)[0] == -signal.SIGKILL
    assert (run / "config.json").exists()
    assert not (run / "state.pt").exists()
    assert server.run("--out", run, "--resume")[0] == 0
    check_same_as(straight, run)


def test_a_full_disk_ends_it_with_a_sentence_and_it_goes_on_when_there_is_space(server, straight, tmp_path):
    if not server.apart:
        pytest.skip("unshare -rm is not allowed here, so no small disk can be mounted")
    disk, out = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    size = (straight / "state.pt").stat().st_size
    assert server.ask(shell=f"mount -t tmpfs -o size={int(1.5 * size)} tmpfs {disk}") == 0
    try:
        status, said = server.run(
            *STEPS, "--out", disk / "run"
        )  # the first state fits, the second does not fit as well
        assert status == 2
        assert "state.pt: no space left on device; free some space" in said
        assert "Traceback" not in said
        assert server.ask(shell=f"cp -r {disk}/run {out}") == 0
        check_every_file(out)
        assert torch.load(out / "state.pt", weights_only=True)["train"]["step"] == 2
        assert not list(out.rglob("*.part"))
        shutil.rmtree(out)
        assert server.ask(shell=f"mount -o remount,size={30 * size} {disk}") == 0
        status, said = server.run("--out", disk / "run", "--resume")
        assert status == 0, said
        assert server.ask(shell=f"cp -r {disk}/run {out}") == 0
    finally:
        server.ask(shell=f"umount {disk}")
    check_same_as(straight, out)


def test_a_log_that_a_full_disk_cut_short_is_mended(tmp_path):
    log = Log(tmp_path / "log.csv", 0)
    for step in range(3):
        log.add({"step": step, "sup": 1.5, "rec": 0.25})
    whole = (tmp_path / "log.csv").read_text()
    for cut in range(1, len("2,1.5,0.25\r\n")):
        (tmp_path / "log.csv").write_text(whole[:-cut], newline="")
        found = Log(tmp_path / "log.csv", 2)
        assert found.rows == [{"step": str(n), "sup": "1.5", "rec": "0.25"} for n in range(2)]


def test_a_loss_that_is_no_number_ends_it_and_the_last_good_state_goes_on(server, straight, tmp_path):
    run = tmp_path / "run"
    status, said = server.run(*STEPS, "--out", run, poison=7)
    assert status == 2
    sentence = said.strip().splitlines()[-1]
    assert sentence.startswith("train.py: step 7: ")
    assert "rec" in sentence
    assert f"{run}/state.pt holds the last good state, of step 6" in sentence
    assert "Traceback" not in said
    check_every_file(run)
    assert server.run("--out", run, "--resume")[0] == 0
    check_same_as(straight, run)


def test_a_weight_that_is_no_number_is_never_saved(server, tmp_path):
    run = tmp_path / "run"
    wild = [*TINY, "--steps", 3, "--save-every", 1, "--lr", "1e39", "--warmup", 0]
    status, said = server.run(*wild, "--out", run)
    assert status == 2
    assert "step 0: weights of the model are not finite after it; no state was saved yet" in said
    assert not list(run.glob("*.pt")) + list(run.glob("*.safetensors"))


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "hearts"
    write_folder(folder, 5, 1, difficulty="standard", size=64, slices=3)
    return folder


FOLDER_STEPS = ["--size", 64, "--batch-size", 2, "--steps", 6, "--save-every", 2, "--validate-every", 6]


def test_a_file_that_disappears_after_the_start_changes_nothing_and_before_it_is_named(server, hearts, tmp_path):
    data, runs = tmp_path / "data", [tmp_path / name for name in ("straight", "robbed")]
    shutil.copytree(hearts, data)
    options = ["--data", data, *FOLDER_STEPS]
    assert server.run(*options, "--out", runs[0])[0] == 0
    pid, said = server.start(*options, "--out", runs[1])
    while not (runs[1] / "config.json").exists():
        time.sleep(0.01)
    data.rename(tmp_path / "gone")  # every file was read before the first step
    assert server.ask(wait=pid) == 0, said.read_text()
    check_same_as(*runs)

    killed = tmp_path / "killed"
    (tmp_path / "gone").rename(data)
    assert server.run(*options, "--out", killed, die=8)[0] == -signal.SIGKILL
    before = {p: p.read_bytes() for p in killed.rglob("*") if p.is_file()}
    lost = next((data / "imagesTr").glob("*_0001.nii.gz"))
    lost.rename(tmp_path / "lost")
    status, said = server.run("--out", killed, "--resume")
    assert status == 2
    assert f"train.py: {lost}: there is no such file" in said
    (tmp_path / "lost").rename(lost)
    case = lost.name[:-12]
    away = {path: tmp_path / f"away-{path.parent.name}-{path.name}" for path in data.glob(f"*/{case}*")}
    for path, aside in away.items():
        path.rename(aside)
    status, said = server.run("--out", killed, "--resume")
    assert status == 2
    assert "the data are no longer those that this run started with" in said
    for path, aside in away.items():
        aside.rename(path)
    assert {p: p.read_bytes() for p in killed.rglob("*") if p.is_file()} == before  # refused before anything is touched
    assert server.run("--out", killed, "--resume")[0] == 0
    check_same_as(runs[0], killed)


def test_a_broken_run_is_not_resumed_and_stays_as_it_is(server, straight, capsys, tmp_path):
    run = tmp_path / "run"
    state = (straight / "state.pt").read_bytes()
    other = tmp_path / "other.pt"
    torch.save({"train": {"step": 3}}, other)
    for name, content, words in (
        ("state.pt", state[: len(state) // 2], "state.pt is not a whole state of this run"),
        ("state.pt", b"", "state.pt is not a whole state of this run"),
        ("state.pt", b"text", "state.pt is not a whole state of this run"),
        ("state.pt", other.read_bytes(), "state.pt is not a whole state of this run"),
        ("config.json", b"", "config.json is no configuration"),
        ("config.json", b"[1]", "config.json is no configuration"),
        ("config.json", b'{"steps": "x"}', "steps is 'x'; expected a whole number"),
        ("config.json", b'{"surprise": 1}', "has no surprise"),
        ("config.json", b"\xff\xfe", "config.json is no configuration"),
        ("split.json", b"{}", "split.json is no split"),
        ("split.json", b'{"train": [], "val": [], "test": []}', "no longer those that this run started with"),
    ):
        shutil.copytree(straight, run)
        (run / name).write_bytes(content)
        before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
        assert words in refused(capsys, train.main, "--out", run, "--resume")
        assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before
        shutil.rmtree(run)
    said = refused(capsys, train.main, "--out", straight, "--resume", "--steps", "50")
    assert "steps is 50, but the run in" in said
