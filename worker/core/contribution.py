"""The definitions: seven sums a token, and the metrics of a text that follow from them.

Notation: h (T, D) is the residual entering a component, δ (T, D) what the component adds to it, T tokens, D
hidden units. Sums run over the units of one token; ‖·‖ is the Euclidean norm.
"""

import torch
from torch import Tensor

SUMS = 7  # Σδ, Σ|δ|, Σδ², Σh², Σh·δ, Σ(h+δ)², Σ(δ−gh)² with g = (‖h+δ‖ − ‖h‖) / ‖h‖

# Rows are reduced in pieces of this many elements, so that the float32 temporaries (1 MiB each) stay in a
# core's cache: at (2048, 3072) that is five times faster than whole-tensor passes. A GPU gets the row whole.
_PIECE = 2**18


def token_sums(residual: Tensor, delta: Tensor) -> Tensor:
    """The seven sums of every token, from which all metrics follow.

    Args:
        residual: (N, D), any float dtype, activation units; h, what enters the component.
        delta: (N, D), any float dtype, activation units; δ, what the component adds.
    Returns: (7, N) float32 on the same device, in the order of `SUMS`; activation units or their square.
        A token with a nan or an inf, or whose squares leave float32, has a sum that is not finite.
    Source: docs/metrics.md, "Seven sums".
    """
    tokens, units = residual.shape
    sums = torch.empty(SUMS, tokens, dtype=torch.float32, device=residual.device)
    rows = tokens if residual.is_cuda else max(1, _PIECE // units)
    for start in range(0, tokens, rows):
        piece = slice(start, start + rows)
        _sum_piece(residual[piece].float(), delta[piece].float(), sums[:, piece])
    return sums


def _sum_piece(h: Tensor, d: Tensor, out: Tensor) -> None:
    """Writes the seven sums of h, d: (n, D) float32 into out: (7, n) float32.

    `Tensor.sum` adds pairwise (errors of 2·10⁻⁷ at D = 3072); `vector_norm` does not, and is no faster.
    """
    scratch = torch.empty_like(d)
    torch.sum(d, -1, out=out[0])
    torch.sum(torch.abs(d, out=scratch), -1, out=out[1])
    torch.sum(torch.mul(d, d, out=scratch), -1, out=out[2])
    torch.sum(torch.mul(h, h, out=scratch), -1, out=out[3])
    torch.sum(torch.mul(h, d, out=scratch), -1, out=out[4])
    torch.add(h, d, out=scratch)
    torch.sum(scratch.mul_(scratch), -1, out=out[5])
    torch.addcmul(d, h, _growth(*out[2:6])[:, None], value=-1, out=scratch)
    torch.sum(scratch.mul_(scratch), -1, out=out[6])


def _growth(d_square: Tensor, h_square: Tensor, h_dot_d: Tensor, after_square: Tensor) -> Tensor:
    """g = (‖h+δ‖ − ‖h‖) / ‖h‖ without subtracting the norms, (n,) float32; 0 where h = 0, which has no g."""
    h, after = h_square.sqrt(), after_square.sqrt()
    return ((2 * h_dot_d + d_square) / ((h + after) * h)).where(h > 0, 0.0)


def finite_layers(sums: Tensor) -> Tensor:
    """Which layers of a text hold finite sums only.

    Args:
        sums: (C, L, 7, T) float32; C components, L layers.
    Returns: (L,) bool.
    """
    return torch.isfinite(sums).flatten(2).all(-1).all(0)  # (C, L, 7·T) → (C, L) → (L,)


def text_metrics(sums: Tensor, units: int) -> Tensor:
    """All metrics of one text in all scopes.

    Args:
        sums: (C, L, 7, T) float32 or float64, `token_sums` of the text's T ≥ 1 tokens; finite.
        units: D, the hidden size.
    Returns: (C, S, L, M) float64, in the order of SCOPES and METRICS; nan = no value: no token in scope
    (`rest` of a
        one-token text), or a token in scope for which the metric is undefined (see `_per_token`).
    """
    table = _per_token(sums.double(), units)  # (C, L, M, T)
    nothing = torch.full_like(table[..., 0], torch.nan)
    rest = table[..., 1:].mean(-1) if table.shape[-1] > 1 else nothing
    scopes = torch.stack([table.mean(-1), rest, table[..., 0]], dim=1)  # (C, S, L, M)
    scopes[..., [2, 6]] = scopes[..., [2, 6]].sqrt()  # the root of the mean square: delta_rms, residual_rms
    return scopes


def _per_token(sums: Tensor, units: int) -> Tensor:
    """What a token contributes to each metric's mean.

    Args:
        sums: (C, L, 7, T) float64.
        units: D.
    Returns: (C, L, M, T) float64, in the order of METRICS; delta_rms and residual_rms still squared.
        ‖h‖ = 0 leaves relative_norm, cosine and block_influence undefined (nan); ‖δ‖ = 0 leaves the cosine
        undefined (the other two are 0); h + δ = 0 leaves block_influence undefined.
    Source: ShortGPT (Men et al. 2024) for block_influence, Csordás et al. 2025 for the other ratios.
    """
    d_sum, d_abs, d_square, h_square, h_dot_d, after_square, turned = sums.unbind(2)  # (C, L, T) each
    h, d = h_square.sqrt(), d_square.sqrt()
    return torch.stack(
        [
            d_sum / units,
            d_abs / units,
            d_square / units,
            _ratio(d, h),
            _ratio(h_dot_d, h * d).clamp(-1, 1),  # float32 sums of parallel vectors end up a hair outside
            _one_minus_cosine(h_square, after_square, turned),
            h_square / units,
        ],
        dim=2,
    )


def _one_minus_cosine(h_square: Tensor, after_square: Tensor, turned: Tensor) -> Tensor:
    """1 − cos(h, h + δ) without subtracting from one.

    1 − c loses all its digits where c ≈ 1, which is where layers live: at ‖δ‖/‖h‖ = 10⁻³ it is off by 70 % in
    float32. Instead half the squared distance of the two unit vectors, whose difference is (δ − g h) / ‖h+δ‖.
    The law of cosines, (‖δ‖² − (‖h+δ‖ − ‖h‖)²) / (2 ‖h‖ ‖h+δ‖), is the same number, but cancels where δ is
    nearly parallel to h: 1.5·10⁻⁴ off on a token whose giant unit is written or erased.

    Args:
        h_square, after_square, turned: (…) float64; ‖h‖², ‖h+δ‖², Σ(δ−gh)².
    Returns: (…) float64, dimensionless, 0 to 2; nan where h or h + δ is 0.
    """
    return _ratio(turned, 2 * after_square.where(h_square > 0, 0.0)).clamp(0, 2)


def _ratio(over: Tensor, under: Tensor) -> Tensor:
    """over / under, nan (and never inf) where under is 0."""
    return over / under.where(under > 0, torch.nan)
