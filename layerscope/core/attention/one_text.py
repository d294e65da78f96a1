"""Causal attention of one text to itself, also with a sliding window or a soft cap of the scores."""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

# Bytes of the float32 scores that are in memory at a time. On a GPU: enough for products of full speed.
_SCORES = {"cpu": 8 * 2**20, "cuda": 512 * 2**20}
_LEAST_ROWS = 16


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, window: int | None, cap: float | None
) -> Tensor:
    """Attention of one text.

    Args:
        query, key, value: (1, H, T, d).
        scale: the factor of the products q·k.
        window: a token attends to itself and the `window` − 1 tokens before it; None: to all before it.
        cap: the scores s become cap · tanh(s / cap); None: no cap.
    Returns: (1, H, T, d). The result depends on no other text.
    """
    tokens = query.shape[2]
    if cap is None and (window is None or window >= tokens):
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale)
    limit = _SCORES[query.device.type] // (torch.float32.itemsize * query.shape[1] * tokens)
    rows = min(tokens, max(_LEAST_ROWS, limit))
    parts = []
    for start in range(0, tokens, rows):
        end = min(start + rows, tokens)
        first = 0 if window is None else max(0, start + 1 - window)  # earlier tokens are in no window
        read = slice(first, end)
        allowed = _allowed(start - first, end - start, end - first, window, query.device)
        parts.append(_rows(query[:, :, start:end], key[:, :, read], value[:, :, read], scale, allowed, cap))
    return torch.cat(parts, 2)


def _allowed(offset: int, rows: int, keys: int, window: int | None, device: torch.device) -> Tensor:
    """(rows, keys) bool: which keys a query attends to; the first query stands at key `offset`."""
    back = torch.arange(offset, offset + rows, device=device)[:, None] - torch.arange(keys, device=device)
    return back >= 0 if window is None else (back >= 0) & (back < window)


def _rows(
    query: Tensor, key: Tensor, value: Tensor, scale: float, allowed: Tensor, cap: float | None
) -> Tensor:
    """Attention of some queries; with a cap in float32, because no fused operation has one."""
    if cap is None:
        return scaled_dot_product_attention(query, key, value, attn_mask=allowed, scale=scale)
    scores = query.float() @ key.float().transpose(-1, -2) * scale  # (1, H, rows, keys)
    capped = scores.div_(cap).tanh_().mul_(cap).masked_fill_(~allowed, -torch.inf)
    return (capped.softmax(-1) @ value.float()).to(query.dtype)
