"""Training that is killed, starved or misled: it goes on to the same weights, or ends with one sentence."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_folders import Folder, marked, shown_by

import train
from dafnet_core import evaluate
from dafnet_core.checkpoints.file import load
from dafnet_core.data.dataset import phantom_slices
from dafnet_core.data.phantom import write_folder

pytestmark = pytest.mark.trust
ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "checkpoints" / "cardiac-film.safetensors"
TINY = ["--subjects", "1", "--validation-subjects", "1", "--size", "64", "--batch-size", "2"]
STEPS = [*TINY, "--steps", "24", "--validate-every", "8", "--save-every", "2", "--adversarial-from", "4"]
APART = ["unshare", "-rm"]  # a mount namespace of its own, where the kernel lets anybody have one


class Server:
    """Trainings as processes; see training_server.py."""

    def __init__(self, folder):
        self.apart = shutil.which("unshare") and not subprocess.run([*APART, "true"], capture_output=True).returncode
        self.said, self.count = folder, 0
        self.process = subprocess.Popen(
            [*(APART if self.apart else []), sys.executable, "tests/training_server.py"],
            cwd=ROOT,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, **job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, *arguments, **how):
        """A training's process id, and the file that it talks to."""
        self.count += 1
        said = self.said / f"said{self.count}"
        return self.ask(train=[str(a) for a in arguments], said=str(said), **how), said

    def run(self, *arguments, **how):
        """Exit status and words of a training that nobody disturbs from outside."""
        pid, said = self.start(*arguments, **how)
        return self.ask(wait=pid), said.read_text()


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


def check_every_file(run):
    """Each file of a run is whole, or has the name of one that was being written."""
    for path in run.rglob("*"):
        if path.is_dir() or path.suffix == ".part":
            continue
        kind = path.suffix
        if kind == ".safetensors":
            load(path)
        elif kind == ".pt":
            assert torch.load(path, weights_only=True)["train"]["step"] > 0
        elif kind == ".json":
            assert json.loads(path.read_text())
        elif kind == ".csv":
            with open(path, newline="") as file:
                assert all(None not in row.values() and None not in row for row in csv.DictReader(file))
        elif kind == ".png":
            Image.open(path).load()
        else:
            assert path.suffix == ".md"
            assert path.read_text().endswith("Not a medical device.\n")


def check_same_as(straight, run):
    """Weights, logs and split are those of the undisturbed run, to the last bit; nothing is left over."""
    for name in ("best.safetensors", "last.safetensors"):
        a, b = (load(p / name).model.state_dict() for p in (straight, run))
        assert all(torch.equal(v, b[k]) for k, v in a.items())
    for name in ("log.csv", "epochs.csv", "validation.csv", "split.json", "config.json"):
        assert (straight / name).read_bytes() == (run / name).read_bytes()
    assert sorted(p.relative_to(run) for p in run.rglob("*")) == sorted(
        p.relative_to(straight) for p in straight.rglob("*")
    )


def rows_in(path):
    return path.read_text().count("\n") if path.exists() else 0


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


def test_killed_before_anything_was_saved_it_begins_anew(server, straight, tmp_path):
    run = tmp_path / "run"
    assert server.run(*STEPS, "--out", run, die=1)[0] == -signal.SIGKILL
    assert [p.suffix for p in run.iterdir()] == [".part"]  # half of config.json: there is nothing to go on with
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
        status, said = server.run(*STEPS, "--out", disk / "run")  # the first state fits, the second does not beside it
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
    log = train.Log(tmp_path / "log.csv", 0)
    for step in range(3):
        log.add({"step": step, "sup": 1.5, "rec": 0.25})
    whole = (tmp_path / "log.csv").read_text()
    for cut in range(1, len("2,1.5,0.25\r\n")):
        (tmp_path / "log.csv").write_text(whole[:-cut], newline="")
        found = train.Log(tmp_path / "log.csv", 2)
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


# ---- data that change underneath -----------------------------------------------------------------------------


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
    assert "the data are no longer those that this run began with" in said
    for path, aside in away.items():
        aside.rename(path)
    assert {p: p.read_bytes() for p in killed.rglob("*") if p.is_file()} == before  # refused before anything is touched
    assert server.run("--out", killed, "--resume")[0] == 0
    check_same_as(runs[0], killed)


# ---- wrong arguments -----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _denormals():
    yield
    torch.set_flush_denormal(False)  # main sets it, for a process of its own


def refused(capsys, command, *arguments):
    """The one sentence on stderr with which a command line ends."""
    try:
        code = command([str(a) for a in arguments])
    except SystemExit as error:  # argparse's own
        code = error.code
    said = capsys.readouterr().err
    assert code == 2, said
    assert "Traceback" not in said
    sentence = said.strip().splitlines()[-1]
    assert len(said.strip().splitlines()) == 1 or said.startswith("usage:")
    return sentence


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "0"], "steps is 0; expected 1 to"),
        (["--steps", "many"], "invalid int value"),
        (["--steps", "1e3"], "invalid int value"),
        (["--lr", "-1"], "lr is -1.0; expected 1e-12 or more"),
        (["--lr", "nan"], "lr is nan; expected a finite number"),
        (["--lr", "inf"], "lr is inf; expected a finite number"),
        (["--lr", "0"], "lr is 0.0"),
        (["--critic-lr", "-0.1"], "critic_lr is -0.1"),
        (["--clip", "0"], "clip is 0.0"),
        (["--w-rec", "-3"], "w_rec is -3.0; expected 0 to"),
        (["--w-kl", "nan"], "w_kl is nan"),
        (["--warmup", "-1"], "warmup is -1"),
        (["--kl-ramp", "-1"], "kl_ramp is -1"),
        (["--ema", "1.5"], "ema is 1.5; expected 0 to 1"),
        (["--annotations", "nan"], "annotations is nan"),
        (["--annotations", "2"], "annotations is 2.0; expected 0 to 1"),
        (["--size", "100"], "size is 100; expected a multiple of 16"),
        (["--size", "48"], "size is 48; expected 64 to 1024"),
        (["--size", "1000000000"], "size is 1000000000"),
        (["--size", "1024", "--model", "published"], "are more than this program computes"),
        (["--channels", "1"], "channels is 1; expected 2 to 64"),
        (["--channels", "1000000"], "channels is 1000000"),
        (["--z-dim", "0"], "z_dim is 0; expected 1 to 128"),
        (["--fold", "7"], "fold is 7, which means nothing for --data 'phantom'"),
        (["--fold", "-1"], "fold is -1"),
        (["--rotation", "1e9"], "rotation is 1000000000.0"),
        (["--warp", "-2"], "warp is -2.0"),
        (["--warp", "500"], "warp is 500.0"),
        (["--subjects", "0"], "subjects is 0"),
        (["--validation-subjects", "0"], "validation_subjects is 0"),
        (["--subjects", "1000000000"], "subjects is 1000000000"),
        (["--phases", "0"], "phases is 0"),
        (["--batch-size", "0"], "batch_size is 0"),
        (["--batch-size", "100000"], "batch_size is 100000; expected 1 to 1024"),
        (["--save-every", "0"], "save_every is 0"),
        (["--validate-every", "-5"], "validate_every is -5"),
        (["--patience", "-1"], "patience is -1"),
        (["--seed", "-1"], "seed is -1"),
        (["--seed", "9000"], "for judging only"),
        (["--target", "T7"], "target is 'T7'; expected one of cine, LGE"),
        (["--modalities", "T1", "T2"], "which means nothing for --data 'phantom'"),
        (["--modalities", "a", "A"], "expected each name once"),
        (["--without", "everything"], "invalid choice"),
        (["--pairing", "neighbours"], "expected --candidates 2 or more"),
        (["--candidates", "0"], "candidates is 0"),
        (["--decoder", "unet"], "invalid choice"),
        (["--data", "/no/such/folder"], "subjects is 1, which means nothing"),
        (["--spacing", "2"], "spacing is 2.0, which means nothing"),
        (["--w-warp", "20"], "known warps are the truth of registered data only"),
        (["--start", "/no/such.safetensors"], "there is no such file"),
        (["--surprise"], "unrecognized arguments"),
        (["--export", "model.pt"], "expected a name that ends in .safetensors"),
        (["--export", "/dev/null/model.safetensors"], "cannot be written: /dev/null is a file"),
        (["--export", "/proc/none/model.safetensors"], "cannot be written"),
        (["--export", "checkpoints/cardiac-film.safetensors"], "add --force"),
        (["--resume"], "holds no config.json"),
    ],
)
def test_a_wrong_option_ends_with_one_sentence_and_leaves_nothing(capsys, tmp_path, options, words):
    assert words in refused(capsys, train.main, *TINY, "--steps", 1, "--out", tmp_path / "a" / "run", *options)
    assert not list(tmp_path.iterdir())


def test_a_device_that_is_not_there_is_said(capsys, tmp_path):
    for device in ("cuda", "mps"):
        if not getattr(torch, "cuda" if device == "cuda" else "mps").is_available():
            said = refused(capsys, train.main, *TINY, "--out", tmp_path / "run", "--device", device)
            assert f"device is {device}, which torch does not find here" in said
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_said_before_data_are_read(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/run")):
        said = refused(capsys, train.main, "--data", "/no/such/folder", "--out", out)
        assert "not empty" in said or "cannot be written" in said
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    (tmp_path / "folder.safetensors").mkdir()
    target = tmp_path / "folder.safetensors"
    said = refused(capsys, train.main, *TINY, "--out", tmp_path / "run", "--export", target, "--force")
    assert "is a folder; name a file" in said


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
        ("split.json", b'{"train": [], "val": [], "test": []}', "no longer those that this run began with"),
    ):
        shutil.copytree(straight, run)
        (run / name).write_bytes(content)
        before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
        assert words in refused(capsys, train.main, "--out", run, "--resume")
        assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before
        shutil.rmtree(run)
    said = refused(capsys, train.main, "--out", straight, "--resume", "--steps", "50")
    assert "steps is 50, but the run in" in said


def test_data_that_cannot_be_trained_or_judged_on_are_refused(capsys, tmp_path):
    def of(name, cases=(), **more):
        folder = Folder(tmp_path / name, channels=("cine", "LGE"), **more)
        for case in cases:
            folder.case(case)
        return folder

    nan = of("nan", "abc")
    values = shown_by(marked())
    values[1, 3, 4] = np.nan
    nan.image("b_0001", values)
    unknown = of("unknown", "abc")
    unknown.label("a", marked(value=9))
    mismatch = of("mismatch", "abc")
    mismatch.label("a", marked(slices=4))
    (of("no-image", "abc").root / "imagesTr" / "b_0000.nii.gz").unlink()
    (of("text", "abc").root / "imagesTr" / "b_0000.nii.gz").write_text("not an image")
    (of("no-json", "abc").root / "dataset.json").unlink()
    markup = of("markup", "abc", labels=("background", "<b>"))
    unlabelled = of("unlabelled", "abc")
    shutil.rmtree(unlabelled.root / "labelsTr")
    untested = of("untested", "abc")
    (untested.root / "splits_final.json").write_text(json.dumps([{"train": ["a", "b"], "val": ["c"]}]))
    for name, cases in (("empty", ""), ("one", "a"), ("two", "ab")):
        of(name, cases)

    out = tmp_path / "run"
    said = refused(capsys, train.main, "--data", "/no/such/folder", "--out", out)
    assert "data is '/no/such/folder'; expected phantom" in said
    for name, words in (
        ("nan", "b_0001.nii.gz: 1 values that were not finite"),
        ("unknown", "labels [9] that have no class"),
        ("mismatch", "a.nii.gz: it has 4 slices"),
        ("no-image", "b_0000.nii.gz: there is no such file"),
        ("text", "b_0000.nii.gz"),
        ("no-json", "dataset.json: it cannot be opened"),
        ("markup", "without markup"),
        ("unlabelled", "no training subject is annotated"),
        ("empty", "no case found"),
        ("one", "1 subjects; expected at least 3"),
        ("two", "2 subjects; expected at least 3"),
    ):
        said = refused(capsys, train.main, "--data", tmp_path / name, "--size", 64, "--out", out)
        assert words in said, name
        assert not out.exists()
        if name not in ("one", "two", "unlabelled", "markup"):
            assert words in refused(capsys, evaluate.main, SHIPPED, "--data", tmp_path / name)
    for options, words in (
        (["--modalities", "LGE", "T9"], "there is no modality 'T9'; choose from cine, LGE"),
        (["--modalities", "LGE"], "two or more different ones are needed"),
        (["--fold", "7"], "fold is 7; expected 0 to 2"),
        (["--target", "T1"], "target is 'T1'; expected one of cine, LGE"),
        (["--phases", "3"], "phases is 3, which means nothing"),
    ):
        of("three", "abc")
        said = refused(capsys, train.main, "--data", tmp_path / "three", "--size", 64, *options, "--out", out)
        assert words in said
    export = tmp_path / "model.safetensors"
    said = refused(capsys, train.main, "--data", untested.root, "--size", 64, "--out", out, "--export", export)
    assert "no test subjects" in said
    assert not out.exists()
    assert not markup.root.joinpath("run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["README.md"], "not a whole safetensors file"),
        (["checkpoints"], "there is no such file"),
        (["/no/such.safetensors"], "there is no such file"),
        ([SHIPPED, "--data", "phantom:subjects=0"], "subjects to be a whole number from 1 to 10000"),
        ([SHIPPED, "--data", "phantom:subjects=abc"], "subjects to be a whole number"),
        ([SHIPPED, "--data", "phantom:subjects=-3"], "subjects to be a whole number"),
        ([SHIPPED, "--data", "phantom:subjects=99999999"], "subjects to be a whole number"),
        ([SHIPPED, "--data", "phantom:seed=\u00b2"], "seed to be a whole number"),
        ([SHIPPED, "--data", "phantom:nonsense=1"], "expected phantom"),
        ([SHIPPED, "--data", "phantom:seed=1,seed=2"], "expected phantom"),
        ([SHIPPED, "--data", "phantom:difficulty=easy"], "expected standard, hard or mixed"),
        ([SHIPPED, "--data", "/no/such/folder"], "data is '/no/such/folder'; expected"),
        ([SHIPPED, "--data", "README.md"], "data is 'README.md'; expected"),
        ([SHIPPED, "--data", "chaos:/no/such"], "there is no such folder"),
        ([SHIPPED, "--split", "half"], "invalid choice"),
        ([SHIPPED, "--warp-seed", "-1"], "expected a whole number from 0 on"),
        ([SHIPPED, "--sample-z", "x"], "expected a whole number from 0 on"),
        ([SHIPPED, "--against", "README.md"], "README.md: not a whole safetensors file"),
        ([SHIPPED, "--against", "checkpoints/brain-film.safetensors"], "compare two of the same"),
        ([SHIPPED, "--json", "/dev/null/a.json"], "/dev/null is a file"),
        ([SHIPPED, "--json", "checkpoints"], "is a folder; name a file"),
        ([], "required: checkpoint"),
    ],
)
def test_evaluate_refuses_with_one_sentence_before_it_judges(capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(evaluate, "judge", lambda *_, **__: pytest.fail("it judged"))
    assert words in refused(capsys, evaluate.main, *arguments)


def test_slices_that_nobody_can_pair_are_not_judged(capsys, monkeypatch):
    nobody = phantom_slices(0, range(0), size=128)
    monkeypatch.setattr(evaluate, "judging_data", lambda *_, **__: nobody)
    assert "nothing can be judged" in refused(capsys, evaluate.main, SHIPPED)
