"""The definitions: seven sums a token, and the metrics of a text that follow from them.

Notation: h (T, D) is the residual entering a component, δ (T, D) what the component adds to it, T tokens, D
hidden units. Sums run over the units of one token; ‖·‖ is the Euclidean norm.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from layerscope.core.transfer import upload

SUMS = 7  # Σδ, Σ|δ|, Σδ², Σh², Σh·δ, Σ(h+δ)², Σ(δ−gh)² with g = (‖h+δ‖ − ‖h‖) / ‖h‖

Sums = Callable[..., Tensor]  # `token_sums` and its equals

log = logging.getLogger(__name__)

# Rows are reduced in pieces of this many elements, so that the float32 temporaries (1 MiB each) stay in a
# core's cache: at (2048, 3072) that is five times faster than whole-tensor passes. A GPU gets the row whole.
_PIECE = 2**18
_COMPILED_TOKENS = 64  # of the probe; the compiled code takes any number but one


def token_sums(residual: Tensor, *parts: Tensor, after: bool = False) -> Tensor:
    """The seven sums of every token, from which all metrics follow.

    Args:
        residual: (N, D), any float dtype, activation units; h, what enters the component.
        parts: (N, D) each, any float dtype, activation units; their sum is δ, what the component adds.
        after: the one part is h + δ instead, what leaves the component.
    Returns: (7, N) float32 on the same device, in the order of `SUMS`; activation units or their square.
        A token with a nan or an inf, or whose squares leave float32, has a sum that is not finite.
    Source: docs/metrics.md, "Seven sums".
    """
    tokens, units = residual.shape
    sums = torch.empty(SUMS, tokens, dtype=torch.float32, device=residual.device)
    rows = tokens if residual.is_cuda else max(1, _PIECE // units)
    for start in range(0, tokens, rows):
        piece = slice(start, start + rows)
        h = residual[piece].float()
        _sum_piece(h, _delta(h, [part[piece] for part in parts], after), sums[:, piece])
    return sums


def _delta(h: Tensor, parts: Sequence[Tensor], after: bool) -> Tensor:
    """δ in float32, whatever the model's dtype."""
    if after:
        return parts[0].float() - h
    return parts[0].float() if len(parts) == 1 else parts[0].float() + parts[1].float()


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


def _fused(residual: Tensor, *parts: Tensor, after: bool = False) -> Tensor:
    """`token_sums` written for a compiler, which makes one pass of it, and one more over the cached piece for
    the seventh sum."""
    h = residual.float()
    d = _delta(h, parts, after)
    d_square, h_square, h_dot_d = (d * d).sum(-1), (h * h).sum(-1), (h * d).sum(-1)
    after_square = (h + d).square().sum(-1)
    turned = d - _growth(d_square, h_square, h_dot_d, after_square)[:, None] * h
    return torch.stack(
        [d.sum(-1), d.abs().sum(-1), d_square, h_square, h_dot_d, after_square, turned.square().sum(-1)]
    )


@cache
def compiled_sums() -> Sums:
    """`token_sums` compiled; `compile_sums` must have said that it works here."""
    # In this process: its pool of compilers would outlive a worker that is killed.
    compiled: Any = torch.compile(_fused, fullgraph=True, options={"compile_threads": 1})
    return compiled  # type: ignore[no-any-return]


@torch.inference_mode()
def compile_sums(units: int, dtype: torch.dtype, device: str) -> bool:
    """Compiles the reduction for residuals of a size and dtype, now: seconds, for this process alone.

    Returns: whether `compiled_sums` may be used: False, and no error, where there is no compiler or its
        numbers are off.
    """
    generator = torch.Generator().manual_seed(0)
    # Three tensors, not parts of one: what the compiled code takes must lie as a layer's outputs lie.
    h, a, m = (torch.randn(_COMPILED_TOKENS, units, generator=generator).to(device, dtype) for _ in range(3))
    for part in (h, a, m):
        torch._dynamo.mark_dynamic(part, 0)
    try:
        with warnings.catch_warnings(action="ignore"):  # the compiler's own, which are none of ours
            _compile_for(h, a)
            if dtype == torch.float32:  # the two ways in which hooks report a block
                _compile_for(h, a, after=True)
            else:
                _compile_for(h, a, m)
    except Exception as error:  # no g++, no headers, a cache folder that can't be written: anything
        log.info("the reduction stays uncompiled: %s", str(error).strip() or type(error).__name__)
        return False
    return True


def _compile_for(*tensors: Tensor, after: bool = False) -> None:
    """Raises whatever goes wrong, wrong numbers included."""
    one, other = compiled_sums()(*tensors, after=after), token_sums(*tensors, after=after)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6 * tensors[0].shape[1])


def finite_layers(sums: Tensor) -> Tensor:
    """Which layers of a text hold finite sums only.

    Args:
        sums: (C, L, 7, T) float32; C components, L layers.
    Returns: (L,) bool.
    """
    return batch_finite(sums, [sums.shape[-1]])[0]


def batch_finite(sums: Tensor, lengths: Sequence[int]) -> Tensor:
    """`finite_layers` of every text of a row.

    Args:
        sums: (C, L, 7, N), `lengths`: the texts' tokens, together N.
    Returns: (B, L) bool for B texts.
    """
    bad = ~torch.isfinite(sums).all(2).all(0)  # (L, N)
    return _segments(bad.T.double(), lengths) == 0  # (N, L) → (B, L)


def text_metrics(sums: Tensor, units: int) -> Tensor:
    """All metrics of one text in all scopes; see `batch_metrics`.

    Args:
        sums: (C, L, 7, T).
    Returns: (C, S, L, M) float64.
    """
    return batch_metrics(sums, [sums.shape[-1]], units)[0]


def batch_metrics(sums: Tensor, lengths: Sequence[int], units: int) -> Tensor:
    """All metrics of all texts of a row in all scopes; nothing waits for the device.

    Args:
        sums: (C, L, 7, N) float32 or float64, `token_sums` of the row's N tokens; a text's metrics mean
            something where its sums are finite, and don't touch its neighbours' where they aren't.
        lengths: tokens of each of the B texts, ≥ 1, together N.
        units: D, the hidden size.
    Returns: (B, C, S, L, M) float64, in the order of SCOPES and METRICS; nan = no value: no token in scope
        (`rest` of a one-token text), or a token in scope for which the metric is undefined (`_per_token`).
    """
    return torch.stack([_component_metrics(part, lengths, units) for part in sums], 1)


def _component_metrics(sums: Tensor, lengths: Sequence[int], units: int) -> Tensor:
    """(L, 7, N) → (B, S, L, M)"""
    table = _per_token(sums.double(), units).permute(2, 0, 1).contiguous()  # (N, L, M)
    both = [part for length in lengths for part in (1, length - 1)]  # the first token, and the rest
    parts = _segments(table, both)
    first, rest = parts[0::2], parts[1::2]
    scopes = torch.stack([_segments(table, lengths), rest, first], 1)
    scopes[..., [2, 6]] = scopes[..., [2, 6]].sqrt()  # the root of the mean square: delta_rms, residual_rms
    return scopes


def _segments(values: Tensor, lengths: Sequence[int]) -> Tensor:
    """Means over runs of tokens, each in order and by itself: (N, …) → (runs, …); an empty run's is nan.

    `unsafe` leaves out the check that the lengths add up, for which a GPU would have to be waited for.
    """
    sizes = upload(list(lengths), values.device)
    return torch.segment_reduce(values, "mean", lengths=sizes, axis=0, unsafe=True)


def _per_token(sums: Tensor, units: int) -> Tensor:
    """What a token contributes to each metric's mean.

    Args:
        sums: (L, 7, N) float64.
        units: D.
    Returns: (L, M, N) float64, in the order of METRICS; delta_rms and residual_rms still squared.
        ‖h‖ = 0 leaves relative_norm, cosine and block_influence undefined (nan); ‖δ‖ = 0 leaves the cosine
        undefined (the other two are 0); h + δ = 0 leaves block_influence undefined.
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
            _ratio(h_dot_d, h * d).clamp(-1, 1),  # float32 sums of parallel vectors end up a hair outside
            _one_minus_cosine(h_square, after_square, turned),
            h_square / units,
        ],
        dim=1,
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
