"""One process of several that take a training step together; run by test_parallel.py.

python one_of_several.py RANK SIZE STORE OUT: writes gradients, weights and terms of this process to OUT.
"""

import sys
from datetime import timedelta

import torch
from torch import distributed as dist

from dafnet_core.config import ModelConfig
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.step import TrainState, noise_of_step, train_step
from dafnet_core.types import Batch


def main(rank: int, size: int, store: str, out: str) -> None:
    torch.set_num_threads(1)
    if size > 1:
        wait = timedelta(seconds=60)
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size, timeout=wait)
    # clip: so large that gradients are compared as they are; everything on from the first step
    config = TrainConfig.of(
        batch_size=4, precision="fp32", clip=1e9, adversarial_from=-1, adversarial_ramp=0, kl_ramp=0
    )
    small = dict(
        width=4, segmentor_width=4, modality_grid=2, aligner_width=4, aligner_grid=2, critic_width=4, critic_grid=2
    )
    shape = ModelConfig.compact(("a", "b"), ("background", "one", "two"), **small)
    state = TrainState.create(shape, config, torch.device("cpu"))
    g = torch.Generator().manual_seed(3)
    # away from the identity: at pixel centres a bilinear sample has two slopes, and rounding decides which one is taken
    state.model.aligner.offsets.weight.data = 0.3 * torch.randn(state.model.aligner.offsets.weight.shape, generator=g)
    images, masks = torch.rand(4, 2, 1, 32, 48, generator=g) * 2 - 1, torch.randint(0, 3, (4, 2, 32, 48), generator=g)
    annotated = torch.tensor([[True, True], [False, False], [True, False], [False, False]])  # odd samples: nothing
    mine = slice(rank, None, size)
    batch = Batch(images[mine], masks[mine], annotated[mine])
    gradients, terms = [], []
    for step in range(2):
        terms.append(train_step(state, batch, noise_of_step(config, step, state.method, (rank, size)), config))
        modules = {"model": state.model, "critics": state.critics}
        gradients.append(
            {
                f"{m}.{k}": p.grad.clone()
                for m, v in modules.items()
                for k, p in v.named_parameters()
                if p.grad is not None
            }
        )
    torch.save({"gradients": gradients, "terms": terms[0], "weights": state.average.module.state_dict()}, out)
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
