"""Many items made by all cores, in order."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

from .. import environment

FEW = 32  # so many are done before worker processes have started


def in_processes(function: Callable[[Any], Any], jobs: Sequence[Any], chunk: int, on_item: Callable[[], None]) -> list[Any]:
    """`function` of each job, computed by all cores.

    Parameters
    ----------
    function : like the jobs, must be picklable if there are more than `FEW` jobs. Fewer are done in this process.
    chunk : jobs handed to a process at once.
    on_item : called as each result arrives.

    Returns
    -------
    The results in the order of the jobs. An exception of `function` is raised here.
    """
    made = []
    with ExitStack() as stack:
        run: Callable = map
        # A worker of dask's own clusters is a daemon, which may not start processes.
        if len(jobs) > FEW and not multiprocessing.current_process().daemon:
            run = partial(stack.enter_context(ProcessPoolExecutor(mp_context=environment.spawn_context())).map, chunksize=chunk)
        for one in run(function, jobs):
            made.append(one)
            on_item()
    return made
