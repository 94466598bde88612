"""PESQ of pairs of sounds in one process and spread over all cores: `labels_spread FILE.npz`, in a process that imports no more than the
command does before it labels, since each worker imports the same. Prints seconds of both as JSON."""

import json
import sys
import time

import numpy as np

from sqa_core import intrusive
from sqa_core.corpora.workers import in_processes


def label(pair: tuple[np.ndarray, np.ndarray]) -> float:
    return intrusive.pesq_mos(*pair)


if __name__ == "__main__":
    with np.load(sys.argv[1]) as stored:
        pairs = [(stored[f"clean{i}"], stored[f"heard{i}"]) for i in range(len(stored.files) // 2)] * int(sys.argv[2])
    marks = [time.perf_counter()]
    alone = [label(pair) for pair in pairs]
    marks.append(time.perf_counter())
    spread = in_processes(label, pairs, 8, lambda: None)
    marks.append(time.perf_counter())
    assert np.allclose(alone, spread, equal_nan=True)
    print(json.dumps({"one": marks[1] - marks[0], "spread": marks[2] - marks[1]}))
