"""Threads that each compute alone: on a CPU a quarter faster than all threads at one operation, since none waits for the others."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch


def in_threads(function: Callable[[Any], Any], items: Iterable[Any], ahead: int) -> Iterator[Any]:
    """`function` of each item, in order, in as many threads as torch has; `ahead` items more than are used are in flight."""
    remaining = iter(items)
    with each_alone() as pool:
        waiting = deque(pool.submit(function, item) for item in islice(remaining, ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
            yield result


@contextmanager
def each_alone() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch has, each computing alone until the end of the block."""
    threads = _SINGLE.enter()
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool
    finally:
        _SINGLE.leave()


class _SingleThreaded:
    """torch's thread count belongs to the process, so blocks that set it to 1 at the same time must agree: the first one sets it, the
    last one to leave restores it."""

    def __init__(self) -> None:
        self.lock, self.blocks, self.threads = threading.Lock(), 0, 1

    def enter(self) -> int:
        with self.lock:
            if not self.blocks:
                self.threads = torch.get_num_threads()
                torch.set_num_threads(1)
            self.blocks += 1
            return self.threads

    def leave(self) -> None:
        with self.lock:
            self.blocks -= 1
            if not self.blocks:
                torch.set_num_threads(self.threads)


_SINGLE = _SingleThreaded()
