"""The original implementation (PyPI `nisqa`) on a folder of WAV files: `peer_nisqa.py FOLDER CHECKPOINT`. Prints seconds in process."""

import contextlib
import io
import json
import sys
import time

with contextlib.redirect_stdout(io.StringIO()):
    import torch
    from nisqa.NISQA_model import nisqaModel

torch.set_num_threads(2)
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    args = {
        "mode": "predict_dir",
        "pretrained_model": sys.argv[2],
        "deg": None,
        "data_dir": sys.argv[1],
        "output_dir": None,
        "csv_file": None,
        "csv_deg": None,
        "num_workers": 0,
        "bs": 1,
        "ms_channel": None,
        "tr_bs_val": 1,
        "tr_num_workers": 0,
    }
    table = nisqaModel(args).predict()
print(json.dumps({"seconds": time.perf_counter() - start, "files": len(table), "mos": float(table["mos_pred"].mean())}))
