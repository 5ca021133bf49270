"""The thin-plate spline, the warp and the aligner."""

import shutil

import pytest
import torch
from scipy.interpolate import RBFInterpolator

from dafnet_core.geometry import control_points, pixel_centres, spline_grid, spline_matrix, warp
from dafnet_core.networks.aligner import correlation_volume, fuse, make_aligner
from dafnet_core.precision import autocast


def offsets(scale=0.2, batch=1, seed=0, dtype=torch.float64):
    return scale * torch.randn(batch, 25, 2, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_spline_interpolates_its_control_points():
    rest = control_points(5)
    moved = offsets()[0]
    assert torch.allclose(spline_matrix(rest, rest) @ moved, moved, atol=1e-10)


def test_spline_reproduces_affine_maps():
    rest, points = control_points(5), pixel_centres(32, 48)
    affine = torch.tensor([[0.1, -0.2], [0.3, 0.05]], dtype=torch.float64)
    shift = torch.tensor([0.05, -0.15], dtype=torch.float64)
    grid = spline_grid((rest @ affine.T + shift)[None], 32, 48)[0].reshape(-1, 2)
    assert torch.allclose(grid, points + points @ affine.T + shift, atol=1e-10)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 80)])
def test_spline_agrees_with_scipy(height, width):
    moved, points = offsets()[0], pixel_centres(height, width)
    reference = RBFInterpolator(control_points(5).numpy(), moved.numpy(), kernel="thin_plate_spline")(points.numpy())
    grid = spline_grid(moved[None].float(), height, width)[0].reshape(-1, 2)
    assert torch.allclose(grid, (points + torch.from_numpy(reference)).float(), atol=1e-5)


def test_zero_offsets_change_nothing():
    image = torch.rand(2, 3, 32, 48)
    assert torch.allclose(warp(image, spline_grid(torch.zeros(2, 25, 2), 32, 48)), image, atol=1e-5)


def test_positive_x_offset_samples_to_the_right_on_a_non_square_image():
    # grid says where the MOVING image is sampled: +x must bring pixels from the right, by W/2 pixels a unit
    image = torch.zeros(1, 1, 32, 64)
    image[0, 0, 10, 40] = 1
    shift = torch.zeros(1, 25, 2)
    shift[..., 0] = 2 * 8 / 64
    shift[..., 1] = -2 * 4 / 32
    moved = warp(image, spline_grid(shift, 32, 64))
    assert moved[0, 0].argmax() == 14 * 64 + 32  # 8 pixels left, 4 pixels down
    assert moved.max() == pytest.approx(1, abs=1e-4)


def test_spline_and_warp_pass_gradcheck_in_float64():
    image = torch.rand(1, 1, 6, 8, dtype=torch.float64, requires_grad=True)
    moved = offsets(0.03).requires_grad_()
    assert torch.autograd.gradcheck(lambda o: spline_grid(o, 6, 8), moved)
    sample = lambda i, o: torch.nn.functional.grid_sample(  # noqa: E731 - warp() is the same in float32
        i, spline_grid(o, 6, 8), padding_mode="border", align_corners=False
    )
    assert torch.autograd.gradcheck(sample, (image, moved))


def test_warped_one_hot_anatomies_still_sum_to_one():
    s = torch.nn.functional.one_hot(torch.randint(0, 4, (2, 32, 48))).movedim(-1, 1).float()
    deformed = warp(s, spline_grid(offsets(0.5, batch=2, dtype=torch.float32), 32, 48))
    assert torch.allclose(deformed.sum(1), torch.ones(2, 32, 48), atol=1e-5)


def test_spline_refuses_offsets_of_another_shape():
    with pytest.raises(ValueError, match=r"\(1, 24, 2\)"):
        spline_grid(torch.zeros(1, 24, 2), 32, 32)


@pytest.mark.parametrize("kind", ["dense", "matching"])
def test_new_aligner_is_the_identity(make_config, kind):
    s = torch.rand(2, 8, 32, 48)
    found = make_aligner(make_config(aligner=kind))(s, s.flip(0))
    assert torch.equal(found.offsets, torch.zeros(2, 25, 2))
    assert torch.allclose(found.deformed, s, atol=1e-5)


def test_likeness_at_each_shift_is_the_mean_product_of_features():
    rng = torch.Generator().manual_seed(0)
    moving, fixed = torch.randn(2, 3, 5, 4, 7, dtype=torch.float64, generator=rng)
    found = correlation_volume(moving, fixed, 2)
    assert found.shape == (3, 25, 4, 7)
    for n in range(25):
        for y in range(4):
            for x in range(7):
                at = min(max(y + n // 5 - 2, 0), 3), min(max(x + n % 5 - 2, 0), 6)  # beyond the border: its edge
                expected = (moving[:, :, at[0], at[1]] * fixed[:, :, y, x]).mean(1)
                assert torch.allclose(found[:, n, y, x], expected, atol=1e-12)


@pytest.mark.slow
def test_matching_learns_shifts_in_pixels_and_keeps_them_at_another_size(make_config):
    torch.manual_seed(0)
    aligner = make_aligner(make_config(aligner_width=8, aligner_grid=4))

    def error(height, width):
        """Mean error, in pixels, of found offsets for blobs moved by up to eight pixels, and of the identity."""
        blobs = torch.nn.functional.avg_pool2d(torch.randn(4, 8, height + 16, width + 16), 17, 1).softmax(1).argmax(1)
        fixed = torch.nn.functional.one_hot(blobs, 8).movedim(-1, 1).float()
        shift = torch.rand(4, 1, 2) * 16 - 8  # xy
        true = (shift * torch.tensor([2 / width, 2 / height])).expand(-1, 25, 2)
        moving = warp(fixed, spline_grid(-true, height, width))
        left = (aligner(moving, fixed).offsets - true) * torch.tensor([width / 2, height / 2])
        return left.norm(dim=-1).mean(), shift.norm(dim=-1).mean()

    optimizer = torch.optim.Adam(aligner.parameters(), 3e-3)
    for _ in range(100):
        optimizer.zero_grad()
        error(64, 64)[0].backward()
        optimizer.step()
    with torch.no_grad():
        for size in ((64, 64), (64, 128)):
            found, before = torch.tensor([error(*size) for _ in range(5)]).mean(0)
            assert found < 0.7 * before, size


@pytest.mark.parametrize("kind", ["dense", "matching"])
def test_a_second_pass_adds_offsets_of_what_the_first_deformed(make_config, kind):
    aligner = make_aligner(make_config(aligner=kind, align_passes=2))
    torch.nn.init.normal_(aligner.offsets.weight, std=0.05)
    moving, fixed = torch.rand(2, 2, 8, 32, 48)
    found = aligner(moving, fixed)
    first = aligner.predict_offsets(moving, fixed)
    second = aligner.predict_offsets(warp(moving, spline_grid(first, 32, 48)), fixed)
    assert second.abs().max() > 1e-3
    assert torch.allclose(found.offsets, first + second)
    assert torch.equal(found.deformed, warp(moving, spline_grid(found.offsets, 32, 48)))


def test_geometry_stays_in_float32_under_bf16(make_model):
    model, s = make_model(), torch.rand(1, 8, 32, 48)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.align(s, s.flip(3))
    assert {found.offsets.dtype, found.grid.dtype, found.deformed.dtype} == {torch.float32}


def test_fusion_is_the_pixelwise_maximum_of_any_number():
    a, b, c = torch.rand(3, 1, 8, 4, 4)
    assert torch.equal(fuse([a]), a)
    assert torch.equal(fuse([a, b, c]), torch.stack([a, b, c]).amax(0))


def test_positions_are_float32_whatever_the_convolutions_run_in():
    offsets = torch.randn(2, 25, 2) * 0.1
    with autocast(offsets.device, torch.bfloat16):
        low = spline_grid(offsets, 32, 48)
    assert torch.equal(low, spline_grid(offsets, 32, 48))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_the_compiled_aligner_has_the_gradients_of_the_plain_one(make_model):
    aligner = make_model().aligner.to(memory_format=torch.channels_last)
    labels = torch.randint(0, 8, (2, 2, 32, 32), generator=torch.Generator().manual_seed(0))
    found = []
    for predict in (aligner.predict_offsets, torch.compile(aligner.predict_offsets)):
        s = torch.nn.functional.one_hot(labels, 8).movedim(-1, 2).float()
        moving, fixed = (t.contiguous(memory_format=torch.channels_last).requires_grad_() for t in s)
        offsets = predict(moving, fixed)
        offsets.square().sum().backward()
        found.append((offsets, moving.grad, fixed.grad))
    for plain, compiled in zip(*found, strict=True):
        largest = plain.abs().max()
        assert largest > 0
        assert (compiled - plain).abs().max() < 1e-3 * largest
