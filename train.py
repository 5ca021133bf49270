"""Train a model: python train.py --help. The code is in dafnet_core/training/."""

import sys

from dafnet_core.training.cli import main

if __name__ == "__main__":
    sys.exit(main())
