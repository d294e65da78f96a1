"""Copies between host and device that do not wait for the work in progress on the device."""

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
class Download:
    """A copy to the host that has been started."""

    _tensor: Tensor
    _event: Any  # torch.cuda.Event; None on a CPU

    def wait(self) -> Tensor:
        """Waits for this copy, but not for work launched after it; returns the tensor on the host."""
        if self._event is not None:
            self._event.synchronize()
        return self._tensor


def download(tensor: Tensor) -> Download:
    """Starts the copy of a tensor to the host."""
    if not tensor.is_cuda:
        return Download(tensor, None)
    host = torch.empty_like(tensor, device="cpu", pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(tensor.device))
    return Download(host, event)
