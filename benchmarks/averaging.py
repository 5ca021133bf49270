"""Which average of weights is best: python -m benchmarks.averaging [--steps 500] [--decoder film] [--json FILE]

One training of the compact model on the phantom. An exponential average (EMA), a plain one of the last 40 % of the
steps (SWA) and the newest weights are taken along the same run, so that nothing else differs, and evaluated on the
validation subjects of the run: never trained on, and none of any test.
"""

from __future__ import annotations

import argparse

import torch
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from benchmarks.machine import add_json_option, report
from dafnet_core.data.dataset import PairedSlices
from dafnet_core.data.sources import training_data
from dafnet_core.evaluation.run import evaluate_method
from dafnet_core.methods.dafnet import DAFNetMethod
from dafnet_core.networks.dafnet import DAFNet
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.step import TrainState, noise_of_step, pick_device, train_step


def numbers(model: DAFNet, data: PairedSlices) -> dict[str, float]:
    """Criteria of an average: Dice in [0, 1], errors of intensities in [-1, 1], and pixels."""
    result = evaluate_method(DAFNetMethod(model.eval()), data, statistics=False).result
    dice = {
        f"{kind}_dice_{name}": result.segmentation[name][kind].dice_mean
        for name in data.modalities
        for kind in ("single", "fused")
    }
    errors = {f"own_l1_{name}": result.reconstruction[name].own_l1 for name in data.modalities}
    all_of_it = dice | errors | {"registration_error_px": result.registration.error_after_px}
    return {key: round(value, 4) for key, value in all_of_it.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--decoder", default="film", choices=("film", "spade"))
    add_json_option(parser)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    config = TrainConfig.of(decoder=options.decoder, steps=options.steps)  # averages by EMA
    schedule, device = config.schedule, pick_device("auto")
    data = training_data(config.data, schedule.seed)
    shape = config.networks(data.train.modalities, data.train.classes)
    state = TrainState.create(shape, config, device)
    plain = AveragedModel(state.model)  # torch's default is the plain mean
    for step in tqdm(range(schedule.steps), unit="step"):
        batch = data.train.batch_at(step, schedule.batch_size, schedule.seed)
        noise = noise_of_step(config, step, state.method)
        train_step(state, batch.to(device), noise.to(device), config)
        if step >= schedule.swa_from * schedule.steps:
            plain.update_parameters(state.model)
    averages = {"ema": state.average.module, "swa": plain.module, "none": state.model}
    found = {
        "steps": schedule.steps,
        "decoder": config.model.decoder,
        "validation_subjects": config.data.validation_subjects,
        "averages": {name: numbers(model, data.val) for name, model in averages.items()},
    }
    report(found, options.json)


if __name__ == "__main__":
    main()
