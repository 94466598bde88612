"""What all benchmarks share: the report with its targets, the machine, timing."""

import os
import platform
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from sqa_core import environment

WORK = Path("_build/bench")
HERE = Path(__file__).parent


class Report:
    """Prints results as they come and keeps the names of missed targets."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def say(self, text: str) -> None:
        print(text, flush=True)

    def check(self, name: str, value: float, at_least: float | None = None, at_most: float | None = None, form: str = ".2f") -> None:
        """Print one result beside its target."""
        met = value >= at_least if at_least is not None else value <= at_most if at_most is not None else True
        limit = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
        self.say(f"  {name}: {value:{form}} (target: {limit}; {'met' if met else 'MISSED'})")
        if not met:
            self.missed.append(f"{name}: {value:{form}}, target {limit}")


def machine() -> str:
    """Processor, cores, versions and load."""
    info = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in info if "model name" in line), platform.processor())
    return f"{platform.machine()}, {model}, {os.cpu_count()} cores; {environment.versions()}; load {os.getloadavg()[0]:.1f}"


def peak(size: int = 2048, seconds: float = 3.0) -> float:
    """FLOP/s of a plain matrix product, sustained for some seconds on the same cores."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    out = a @ b
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        torch.mm(a, b, out=out)
        count += 1
    return count * 2 * size**3 / (time.perf_counter() - start)


def timed(function: Callable[[], Any], repeats: int = 2) -> tuple[Any, float]:
    """A function's result, and its seconds: the best of several, since other processes disturb."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        out = function()
        best = min(best, time.perf_counter() - start)
    return out, best


def peak_memory(command: Sequence[str]) -> float:
    """The most memory in GB that a command holds. Its own high-water mark is read while it runs: what `wait4` reports includes the pages
    that the new process shared with this one before it became the command."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    most = 0.0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:  # it ended between the two
            break
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            most = max(most, int(found[1]) / 1e6)
        time.sleep(0.05)
    if process.wait():
        raise RuntimeError(f"{' '.join(command[:3])} … ended with {process.returncode}")
    return most
