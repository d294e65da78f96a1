"""To the device and back without waiting for the work that is under way there."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def upload(values: list[int], device: torch.device | str) -> Tensor:
    """(n,) int64 on the device."""
    tensor = torch.tensor(values)
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@dataclass(frozen=True)
class Arrival:
    """A tensor on its way to the host."""

    _tensor: Tensor
    _event: Any  # torch.cuda.Event; None on a CPU

    def wait(self) -> Tensor:
        """Waits for this tensor, but not for what was launched after it."""
        if self._event is not None:
            self._event.synchronize()
        return self._tensor


def download(tensor: Tensor) -> Arrival:
    """Sends a tensor home."""
    if not tensor.is_cuda:
        return Arrival(tensor, None)
    host = torch.empty_like(tensor, device="cpu", pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(tensor.device))
    return Arrival(host, event)
