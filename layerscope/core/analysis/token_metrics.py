"""The metrics of each token of a batch."""

import torch
from torch import Tensor

from layerscope.core.contribution import per_token_metrics
from layerscope.names import METRICS, TOKEN_METRICS, Metric

_CHOSEN = [METRICS.index(metric) for metric in TOKEN_METRICS]
_SQUARED = [TOKEN_METRICS.index(metric) for metric in (Metric.DELTA_RMS, Metric.RESIDUAL_RMS)]


def token_metrics(sums: Tensor, units: int) -> Tensor:
    """The TOKEN_METRICS of each token.

    Args:
        sums: (C, L, 7, N) float32, the `token_sums` of the N tokens.
        units: D, the hidden size.
    Returns: (N, C, L, 4) float32; nan = the metric is undefined for the token (`per_token_metrics`).
    """
    table = torch.stack([per_token_metrics(part.double(), units) for part in sums])[:, :, _CHOSEN]
    for squared in _SQUARED:
        table[:, :, squared].sqrt_()  # (C, L, 4, N)
    return table.permute(3, 0, 1, 2).float()
