"""The memory of the devices of the model, read at each scrape."""

from collections.abc import Iterator
from typing import Any

import psutil
import torch
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class DeviceMemory(Collector):
    """`module`: the model, whose weights may be on several devices."""

    def __init__(self, name: str, module: Any) -> None:
        self._name = name
        self._devices = sorted({str(weight.device) for weight in module.parameters()})

    def collect(self) -> Iterator[GaugeMetricFamily]:
        used = _gauge(
            "layerscope_worker_device_memory_used_bytes",
            "Memory of the device that this process holds; on a CPU its resident memory",
        )
        total = _gauge("layerscope_worker_device_memory_bytes", "Memory of the device")
        for device in self._devices:
            held, available = _memory(device)
            used.add_metric([self._name, device], held)
            total.add_metric([self._name, device], available)
        yield from (used, total)


def _gauge(name: str, documentation: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=["model", "device"], unit="bytes")


def _memory(device: str) -> tuple[int, int]:
    """Held by this process, and in all; bytes. PyTorch keeps what it has once reserved."""
    if device.startswith("cuda"):
        return torch.cuda.memory_reserved(device), torch.cuda.get_device_properties(device).total_memory
    return psutil.Process().memory_info().rss, psutil.virtual_memory().total
