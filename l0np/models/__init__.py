"""What the two public models share: gates over columns, their state, and the way into the training loop.

`GatedModel` is the base of both; `calibration` and `sparse` add the meaning of columns and rows.
"""

from l0np.models.gated_model import LARGEST_SEED, FitSettings, GatedModel

__all__ = ["LARGEST_SEED", "FitSettings", "GatedModel"]
