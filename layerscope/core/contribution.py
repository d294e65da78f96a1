"""The definitions: seven sums per token, and the metrics of a text computed from them.

Notation: h (T, D) is the residual that enters a component, δ (T, D) is what the component adds to it, T is
the number of tokens, D the number of hidden units. Sums run over the units of one token; ‖·‖ is the Euclidean
norm.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from layerscope.core.transfer import upload

SUMS = 7  # Σδ, Σ|δ|, Σδ², Σh², Σh·δ, Σ(h+δ)², Σ(δ−gh)² with g = (‖h+δ‖ − ‖h‖) / ‖h‖

Sums = Callable[..., Tensor]  # the type of `token_sums`

# A batch is reduced in pieces of this many elements, so that the float32 temporaries (1 MiB each) stay in the
# cache of a core: at (2048, 3072) this is five times faster than passes over the whole tensor. On a GPU the
# batch is reduced as a whole.
_PIECE = 2**18


def token_sums(residual: Tensor, *parts: Tensor, after: bool = False) -> Tensor:
    """The seven sums of every token, from which all metrics are computed.

    Args:
        residual: (N, D), any float dtype, activation units; h, the residual that enters the component.
        parts: (N, D) each, any float dtype, activation units; their sum is δ, what the component adds.
        after: there is one part, which is h + δ, the residual that leaves the component.
    Returns: (7, N) float32 on the same device, in the order of `SUMS`; activation units or their square.
        A token with a nan or an inf, or whose squares exceed float32, has a sum that is not finite.
    Source: docs/metrics.md, "Seven sums".
    """
    tokens, units = residual.shape
    sums = torch.empty(SUMS, tokens, dtype=torch.float32, device=residual.device)
    size = tokens if residual.is_cuda else max(1, _PIECE // units)
    for start in range(0, tokens, size):
        piece = slice(start, start + size)
        h = residual[piece].float()
        _sum_piece(h, delta(h, [part[piece] for part in parts], after), sums[:, piece])
    return sums


def delta(h: Tensor, parts: Sequence[Tensor], after: bool) -> Tensor:
    """δ in float32, for every dtype of the model; the arguments are those of `token_sums`."""
    if after:
        return parts[0].float() - h
    return parts[0].float() if len(parts) == 1 else parts[0].float() + parts[1].float()


def _sum_piece(h: Tensor, d: Tensor, out: Tensor) -> None:
    """Writes the seven sums of h, d: (n, D) float32 into out: (7, n) float32.

    `Tensor.sum` adds pairwise (errors of 2·10⁻⁷ at D = 3072). `vector_norm` does not, and is not faster.
    """
    scratch = torch.empty_like(d)
    torch.sum(d, -1, out=out[0])
    torch.sum(torch.abs(d, out=scratch), -1, out=out[1])
    torch.sum(torch.mul(d, d, out=scratch), -1, out=out[2])
    torch.sum(torch.mul(h, h, out=scratch), -1, out=out[3])
    torch.sum(torch.mul(h, d, out=scratch), -1, out=out[4])
    torch.add(h, d, out=scratch)
    torch.sum(scratch.mul_(scratch), -1, out=out[5])
    torch.addcmul(d, h, norm_growth(*out[2:6])[:, None], value=-1, out=scratch)
    torch.sum(scratch.mul_(scratch), -1, out=out[6])


def norm_growth(d_square: Tensor, h_square: Tensor, h_dot_d: Tensor, after_square: Tensor) -> Tensor:
    """g = (‖h+δ‖ − ‖h‖) / ‖h‖ without subtracting the norms, (n,) float32; 0 if h = 0 (g is undefined)."""
    h, after = h_square.sqrt(), after_square.sqrt()
    return ((2 * h_dot_d + d_square) / ((h + after) * h)).where(h > 0, 0.0)


def finite_layers(sums: Tensor) -> Tensor:
    """Which layers of a text have only finite sums.

    Args:
        sums: (C, L, 7, T) float32; C components, L layers.
    Returns: (L,) bool.
    """
    return batch_finite(sums, [sums.shape[-1]])[0]


def batch_finite(sums: Tensor, lengths: Sequence[int]) -> Tensor:
    """`finite_layers` for every text of a batch.

    Args:
        sums: (C, L, 7, N).
        lengths: the tokens of each of the B texts; their sum is N.
    Returns: (B, L) bool.
    """
    bad = ~torch.isfinite(sums).all(2).all(0)  # (L, N)
    return segments(bad.T.double(), lengths) == 0  # (N, L) → (B, L)


def residual_squares(sums: Tensor) -> Tensor:
    """The squares of the norms, ‖h[ℓ]‖², of every token for ℓ = 0 … L: (L + 1, N) in the dtype of `sums`.

    Args: `sums`: (L, 7, N), the `token_sums` of the block.
    """
    return torch.cat([sums[:, 3], sums[-1:, 5]])


def text_metrics(sums: Tensor, units: int, massive: Tensor | None = None) -> Tensor:
    """All metrics of one text in all scopes; see `batch_metrics`. Without `massive` no token is massive.

    Args:
        sums: (C, L, 7, T).
        massive: (T,) bool.
    Returns: (C, S, L, M) float64.
    """
    tokens = sums.shape[-1]
    none = torch.zeros(tokens, dtype=torch.bool, device=sums.device)
    return batch_metrics(sums, [tokens], units, none if massive is None else massive)[0]


def batch_metrics(sums: Tensor, lengths: Sequence[int], units: int, massive: Tensor) -> Tensor:
    """All metrics of all texts of a batch in all scopes, without waiting for the device.

    Args:
        sums: (C, L, 7, N) float32 or float64, the `token_sums` of the N tokens of the batch. The metrics of a
            text are valid if its sums are finite; sums that are not finite do not affect other texts.
        lengths: the tokens of each of the B texts, ≥ 1; their sum is N.
        units: D, the hidden size.
        massive: (N,) bool, the tokens that scope `typical` leaves out besides the first of each text.
    Returns: (B, C, S, L, M) float64, in the order of SCOPES and METRICS; nan = no value: no token is in scope
        (`rest` of a one-token text), or the metric is undefined for a token in scope (`per_token_metrics`).
    """
    return torch.stack([_component_metrics(part, lengths, units, massive) for part in sums], 1)


def _component_metrics(sums: Tensor, lengths: Sequence[int], units: int, massive: Tensor) -> Tensor:
    """(L, 7, N) → (B, S, L, M)"""
    table = per_token_metrics(sums.double(), units).permute(2, 0, 1).contiguous()  # (N, L, M)
    split = [part for length in lengths for part in (1, length - 1)]  # the first token, and the rest
    parts = segments(table, split)
    first, rest = parts[0::2], parts[1::2]
    scopes = torch.stack([segments(table, lengths), rest, first, _typical(table, split, massive)], 1)
    for squared in (2, 6):  # delta_rms, residual_rms. A list as index would make the host wait for the GPU.
        scopes[..., squared].sqrt_()
    return scopes


def _typical(table: Tensor, split: Sequence[int], massive: Tensor) -> Tensor:
    """Means over the tokens of each text that are neither the first nor massive; nan if there is none.

    Args:
        table: (N, L, M).
        split: the tokens of the 2B segments, as in `_component_metrics`.
        massive: (N,) bool.
    Returns: (B, L, M).
    """
    typical = (~massive)[:, None, None]
    summed = segments(table.where(typical, 0.0), split, "sum")[1::2]
    return summed / segments(typical.double(), split, "sum")[1::2]


def segments(values: Tensor, lengths: Sequence[int], reduce: str = "mean") -> Tensor:
    """Means or sums over consecutive segments of tokens; the mean of an empty segment is nan, its sum 0.

    Each segment is summed separately and in order. `unsafe` omits the check that the lengths add up to N,
    which would wait for the GPU.

    Args: `values`: (N, …) float; `lengths`: the sizes of the segments; `reduce`: "mean" or "sum".
    Returns: (segments, …).
    """
    sizes = upload(list(lengths), values.device)
    return torch.segment_reduce(values, reduce, lengths=sizes, axis=0, unsafe=True)


def per_token_metrics(sums: Tensor, units: int) -> Tensor:
    """The contribution of each token to the mean of each metric.

    Args:
        sums: (L, 7, N) float64.
        units: D.
    Returns: (L, M, N) float64, in the order of METRICS; delta_rms and residual_rms are still squared. If
        ‖h‖ = 0, relative_norm, cosine and block_influence are undefined (nan). If ‖δ‖ = 0, the cosine is
        undefined and the other two are 0. If h + δ = 0, block_influence is undefined.
    Source: ShortGPT (Men et al. 2024) for block_influence, Csordás et al. 2025 for the other ratios.
    """
    d_sum, d_abs, d_square, h_square, h_dot_d, after_square, turned = sums.unbind(1)  # (L, N) each
    h, d = h_square.sqrt(), d_square.sqrt()
    return torch.stack(
        [
            d_sum / units,
            d_abs / units,
            d_square / units,
            _ratio(d, h),
            _ratio(h_dot_d, h * d).clamp(-1, 1),  # rounding can exceed ±1 for parallel vectors
            _one_minus_cosine(h_square, after_square, turned),
            h_square / units,
        ],
        dim=1,
    )


def _one_minus_cosine(h_square: Tensor, after_square: Tensor, turned: Tensor) -> Tensor:
    """1 − cos(h, h + δ) without the subtraction from 1.

    1 − c loses all its digits if c ≈ 1, which is the usual case: at ‖δ‖/‖h‖ = 10⁻³ its error in float32 is
    70 %. Instead this computes half the squared distance of the two unit vectors, whose difference is
    (δ − g h) / ‖h+δ‖. The law of cosines, (‖δ‖² − (‖h+δ‖ − ‖h‖)²) / (2 ‖h‖ ‖h+δ‖), gives the same number but
    loses digits if δ is nearly parallel to h: its error is 1.5·10⁻⁴ for a token whose massive activation is
    written or removed.

    Args:
        h_square, after_square, turned: (…) float64; ‖h‖², ‖h+δ‖², Σ(δ−gh)².
    Returns: (…) float64, dimensionless, 0 to 2; nan if h or h + δ is 0.
    """
    return _ratio(turned, 2 * after_square.where(h_square > 0, 0.0)).clamp(0, 2)


def _ratio(over: Tensor, under: Tensor) -> Tensor:
    """over / under; nan, never inf, if under is 0."""
    return over / under.where(under > 0, torch.nan)
