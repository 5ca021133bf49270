"""Files under the name of a checkpoint: cut, foreign, mutated, or with weights that do not fit."""

import io
import pickle
import random
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save as to_safetensors

from dafnet_core.checkpoints.file import CheckpointError, from_bytes, save
from tests.helpers.checkpoint_bytes import edited, parts, refusal, shown, whole

pytestmark = pytest.mark.trust


def test_the_file_itself_is_read(good):
    assert from_bytes(good, "good").config.modalities == ("a", "b")
    assert from_bytes(edited(good), "good").training.step == 3  # as the helper writes it


def test_a_file_cut_or_continued_anywhere_is_refused(good):
    start = 8 + int.from_bytes(good[:8], "little")
    for cut in (0, 1, 7, 8, 9, start // 2, start - 1, start, start + 1, (start + len(good)) // 2, len(good) - 1):
        assert "not a whole safetensors file" in refusal(good[:cut])
    assert "not a whole safetensors file" in refusal(good + b"more")


def test_other_files_under_the_name_of_a_checkpoint_are_refused():
    torch_zip = io.BytesIO()
    torch.save({"model": torch.zeros(3)}, torch_zip)
    others = [
        pickle.dumps({"a": 1}),
        torch_zip.getvalue(),
        b"<html><script>alert(1)</script>",
        b"\x89PNG\r\n" * 9,
        b"{}",
    ]
    for data in others:
        assert "not a whole safetensors file" in refusal(data)
    for data in others[:2]:
        assert "pickled Python objects" in refusal(data)
        assert "--resume --export FILE.safetensors" in refusal(data)
    foreign = to_safetensors({"model.diffusion_model.weight": torch.zeros(4, 4)}, {"format": "pt"})
    assert "a safetensors file of another program" in refusal(foreign)
    assert "format none" in refusal(to_safetensors({"w": torch.zeros(2)}))


def test_a_header_that_lies_about_its_length_or_is_endless_is_refused(good):
    rest = good[8:]
    for claimed in (2**63 - 1, 2**63, 2**64 - 1, len(good), len(good) - 7):
        assert "not a whole" in refusal(struct.pack("<Q", claimed) + rest)
    assert "a header of 100 MB" in refusal(whole(b'{"a":' + b" " * (100 << 20) + b"1}", b""))
    assert "not a whole" in refusal(whole(b"[" * 100_000, b""))
    assert "not a whole" in refusal(whole(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b""))
    assert "not a whole" in refusal(whole(b"[" + b"1," * (3 << 20) + b"1]", b""))  # millions of values


def test_weights_of_another_type_shape_or_place_are_refused(good):
    header, weights = parts(good)
    name = "segmentor.head.weight"

    def with_entry(**changes):
        return whole(header | {name: header[name] | changes}, weights)

    for kind in ("F64", "BF16", "U8", "BOOL", "I64", "X1", 7, None):
        assert f"{name} is of type" in refusal(with_entry(dtype=kind))
    shape = header[name]["shape"]
    for wrong in ([], [0], shape[::-1], [*shape, 1], [2**62, 2**62], [-1], "x", None, [float(n) for n in shape[:-1]]):
        assert f"{name} is " in refusal(with_entry(shape=wrong))
    low, high = header[name]["data_offsets"]
    for offsets in ([high, low], [low, high + 4], [0, high - low], [low - 4, high - 4], [2**63, 2**64], [-4, 0], "x"):
        assert "not a whole safetensors file" in refusal(with_entry(data_offsets=offsets))
    for entry in ([], 5, None):
        assert "is not described" in refusal(whole(header | {name: entry}, weights))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_not_finite_is_refused_and_never_written(good, value, tmp_path):
    header, weights = parts(good)
    low, _ = header["segmentor.head.weight"]["data_offsets"]
    filled = weights[: low + 4] + np.float32(value).tobytes() + weights[low + 8 :]
    assert "segmentor.head.weight holds NaN or Inf" in refusal(whole(header, filled))
    found = from_bytes(good, "good")
    found.model.segmentor.head.bias.data[0] = value
    with pytest.raises(CheckpointError, match="not written"):
        save(found, tmp_path / "new")
    found.model.segmentor.head.bias.data[0] = 1e6  # finite, but not in float16
    with pytest.raises(CheckpointError, match=r"segmentor\.head\.bias holds NaN or Inf"):
        save(found, tmp_path / "new", half=True)
    assert not (tmp_path / "new").exists()


def test_a_few_hundred_mutations_never_crash_the_reader(good):
    rng = random.Random(0)
    start = 8 + int.from_bytes(good[:8], "little")
    read = 0
    for n in range(300):
        data = bytearray(good)
        for _ in range(rng.choice([1, 1, 4, 32])):
            data[rng.randrange(start if n % 4 else len(data))] = rng.randrange(256)
        if n % 5 == 0:
            at, length = rng.randrange(start), rng.randrange(1, 200)
            data[at : at + length] = data[rng.randrange(start) :][: rng.randrange(200)]
        try:
            shown(from_bytes(bytes(data), "mutated"))
            read += 1
        except CheckpointError:
            continue
    assert read < 150  # single letters of names and numbers may change and be right; most may not
