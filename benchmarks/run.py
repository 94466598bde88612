"""Speeds as ratios to peers and to the machine's limit, in one run: `python -m benchmarks.run [PART…] [--repeat N]`; see README.md.

Exits with 1 if a target is missed, and names it."""

import argparse
import sys

import torch

from .calls import bench_calls, bench_quality
from .common import Report, machine, peak
from .explanations import bench_attribution, bench_occlusion, bench_survey
from .humpcat import bench_humpcat
from .jsqa import bench_jsqa
from .pages import bench_pages
from .scores import bench_memory, bench_score, bench_small_files
from .tables import bench_many, bench_tables
from .training import bench_demo, bench_lookup, bench_probes, bench_together

PARTS = {
    "tables": bench_tables,
    "many": bench_many,
    "lookup": bench_lookup,
    "demo": bench_demo,
    "probes": bench_probes,
    "together": bench_together,
    "score": bench_score,
    "memory": bench_memory,
    "small-files": bench_small_files,
    "occlusion": bench_occlusion,
    "attribution": bench_attribution,
    "survey": bench_survey,
    "calls": bench_calls,
    "quality": bench_quality,
    "jsqa": bench_jsqa,
    "humpcat": bench_humpcat,
    "pages": bench_pages,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--repeat", type=int, default=10, help="how often the 78 files are scored; 10 is an hour of sound")
    options = parser.parse_args()
    if unknown := [p for p in options.parts if p not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    torch.set_num_threads(2)
    report = Report()
    report.say(f"machine: {machine()}")
    report.say(f"matrix product: {peak() / 1e9:.0f} GFLOP/s fp32")
    for part in options.parts:
        PARTS[part](report, options.repeat)
    if report.missed:
        sys.exit("Targets missed:\n  " + "\n  ".join(report.missed))


if __name__ == "__main__":
    main()
