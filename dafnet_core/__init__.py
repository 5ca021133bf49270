"""DAFNet: disentangle, align and fuse for multimodal image segmentation (Chartsias et al.).

Importing this package imports nothing heavy; take what you need from its modules.
"""

__version__ = "0.1.0"
