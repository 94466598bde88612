"""Damaged input of every kind, made by the hundred: what does the library say? `python -m tests.damaged` counts, by kind.

Each case is a good file that was changed in one way. A case is *refused* if it is one sentence, *right* if what was changed does not matter or
is the content's own (then the result is known by its own hash), and *wrong* if it is a traceback, several lines, or a result that is not a
number. The tests run some of each kind; the whole takes some minutes.
"""

import io
import json
import os
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from sqa_core import audio, scoring
from sqa_core.errors import SqaError, WeightsError
from sqa_core.models import weights
from sqa_core.models.nisqa import Nisqa, NisqaSettings


@dataclass
class Case:
    """A name, and the function that makes the damaged thing in an empty folder and returns what to open."""

    name: str
    make: Callable[[Path], Any]


def bytes_changed(data: bytes, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Data cut, extended, flipped in single bytes, and with runs of zeros, at places spread over it and drawn with a seed."""
    rng = np.random.default_rng(seed)
    yield "empty", b""
    for n in (1, 2, 7, 8, 64):
        yield f"first {n} bytes", data[:n]
    for share in np.linspace(0.05, 0.99, 20):
        yield f"cut at {share:.2f}", data[: int(share * len(data))]
    yield "cut by one byte", data[:-1]
    yield "extended", data + b"\0" * 100
    yield "twice", data + data
    for place in rng.integers(len(data), size=60):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        yield f"bit flipped at {place}", bytes(flipped)
    for place in rng.integers(len(data), size=20):
        yield f"zeros at {place}", data[:place] + b"\0" * 512 + data[place + 512 :]
    yield "text", b"<html>404 Not Found</html>"
    yield "random", rng.bytes(4096)


def written(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


# ---- checkpoints ----

ARGS = {
    "cnn_model": "adapt", "td": "self_att", "ms_sr": None, "ms_n_fft": 4096, "ms_hop_length": 0.01, "ms_win_length": 0.02, "ms_n_mels": 48,
    "ms_fmax": 20000, "dim": False, "cnn_c_out_1": 4, "cnn_c_out_2": 4, "cnn_c_out_3": 4, "cnn_fc_out_h": None, "td_sa_d_model": 8,
    "td_lstm_h": 8, "pool_att_h": 8, "ms_seg_length": 15, "ms_seg_hop_length": 4, "double_ended": False, "td_2": "skip",
}  # fmt: skip
SMALL = NisqaSettings(outputs=("mos",), channels=(4, 4, 4), width=8, pool_width=8)


def _state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return Nisqa(SMALL).state_dict()


def _tar(content: Any, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, pickle_protocol=protocol)
    return buffer.getvalue()


def _safetensors(state: dict[str, torch.Tensor], metadata: dict[str, str] | None) -> bytes:
    from safetensors.torch import save

    return save({k: v.contiguous() for k, v in state.items()}, metadata)


STRANGE = (None, 3, -1, 0, 10**9, 1.5, float("nan"), "text", "", b"bytes", [1, 2], (), {}, {1: 2}, True, torch.zeros(2))


def checkpoints() -> Iterator[Case]:
    good = _state()
    whole = {"args": ARGS, "model_state_dict": good}
    settings = {"settings": json.dumps(asdict(SMALL)), "name": "small"}
    yield Case("good.tar", written("x.tar", _tar(whole)))
    yield Case("good.safetensors", written("x.safetensors", _safetensors(good, settings)))
    for name, data in bytes_changed(_tar(whole)):
        yield Case(f".tar {name}", written("x.tar", data))
    for name, data in bytes_changed(_safetensors(good, settings)):
        yield Case(f".safetensors {name}", written("x.safetensors", data))
    yield Case("protocol 4", written("x.tar", _tar(whole, 4)))
    for value in STRANGE:
        yield Case(f"whole is {value!r}", written("x.tar", _tar(value)))
        yield Case(f"args is {value!r}", written("x.tar", _tar(whole | {"args": value})))
        yield Case(f"state is {value!r}", written("x.tar", _tar(whole | {"model_state_dict": value})))
        key = next(iter(good))
        yield Case(f"a tensor is {value!r}", written("x.tar", _tar(whole | {"model_state_dict": good | {key: value}})))
        for name in ARGS:
            yield Case(f"{name} is {value!r}", written("x.tar", _tar(whole | {"args": ARGS | {name: value}})))
    for name in ARGS:
        yield Case(f"args lack {name}", written("x.tar", _tar(whole | {"args": {k: v for k, v in ARGS.items() if k != name}})))
    for key in (3, None, (1, 2), b"key", 1.5, True, "x" * 10_000, "../../etc", "\0", "model." * 100):
        yield Case(f"a key is {key!r:.20}", written("x.tar", _tar(whole | {"model_state_dict": good | {key: torch.zeros(1)}})))
    for number, (name, change) in enumerate(_tensor_changes()):
        chosen = list(good)[(7 * number) % len(good)]
        for key in {chosen, next(k for k in good if k.endswith("running_var")), next(k for k in good if k.endswith("weight"))}:
            try:
                data = _tar(whole | {"model_state_dict": good | {key: change(good[key])}})
            except Exception:  # such a tensor cannot be stored
                continue
            yield Case(f"{key} {name}", written("x.tar", data))
    for value in (
        "",
        "{",
        "[]",
        "null",
        "3",
        '"text"',
        "{}",
        '{"layout": "spiral"}',
        json.dumps(asdict(SMALL) | {"channels": [1e9, 1, 1]}),
        "[" * 100_000,
        "9" * 5000,
    ):
        yield Case(f"settings {value:.20}", written("x.safetensors", _safetensors(good, {"settings": value})))
    yield Case("no metadata", written("x.safetensors", _safetensors(good, None)))
    for value in ("[3]", "text", '[1, "x"]', "[NaN, 3]", "[1e999, 2]", "null", "[[1], [2]]", "[" * 200_000, f"[1, {'9' * 400}]"):
        yield Case(f"best_seconds {value:.20}", written("x.safetensors", _safetensors(good, settings | {"best_seconds": value})))
    for name in ("nisqa", "polyglot-pesq", "../nisqa", "x\x1b[31m", "", "a" * 5000):
        yield Case(f"calls itself {name!r:.12}", written("x.safetensors", _safetensors(good, settings | {"name": name})))
    for path in ("/etc/passwd", "/dev/null", "/", ".", "", "x" * 300, "absent.tar", "~", "\0", "-", "/dev/zero"):
        yield Case(f"path {path!r:.20}", lambda folder, path=path: path)


def _tensor_changes() -> Iterator[tuple[str, Callable[[torch.Tensor], Any]]]:
    yield "of 1e300", lambda t: torch.full(t.shape, 1e300, dtype=torch.float64)
    yield "with a NaN", lambda t: _set(t, float("nan"))
    yield "with infinity", lambda t: _set(t, float("inf"))
    yield "of 1e38", lambda t: torch.full_like(t, 1e38) if t.is_floating_point() else t + 10**9
    yield "of -5", lambda t: torch.full_like(t, -5)
    yield "of zeros", torch.zeros_like
    yield "transposed", lambda t: t.reshape(t.shape[::-1]) if t.dim() > 1 else t[None]
    yield "without its last row", lambda t: t[:-1] if t.dim() else t[None]
    yield "empty", lambda t: t.flatten()[:0]
    for kind in (torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn):
        yield f"as {kind}", lambda t, kind=kind: t.to(kind)
    yield "sparse", lambda t: t.to_sparse()
    yield "compressed sparse", lambda t: t.reshape(len(t), -1).to_sparse_csr()
    yield "on meta", lambda t: t.to("meta")
    yield "quantised", lambda t: torch.quantize_per_tensor(t.float(), 0.1, 0, torch.qint8)
    yield "nested", lambda t: torch.nested.nested_tensor([t, t])
    yield "expanded to a billion", lambda t: torch.zeros(1).expand(10**9)
    yield "in a list", lambda t: [t]
    yield "as a Parameter", lambda t: torch.nn.Parameter(t, requires_grad=False)


def _set(t: torch.Tensor, value: float) -> torch.Tensor:
    changed = t.clone().float().flatten()
    changed[0] = value
    return changed.reshape(t.shape)


def use_checkpoint(path: Any) -> bool:
    network = weights.load(path, "cpu")
    assert network.name not in weights.found_networks(), "no other network goes by a known name"
    assert network.name.isprintable()
    assert len(network.name) < 150
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "a.wav"
        audio.write_wav(sound, np.random.default_rng(0).normal(0, 0.1, (1, 8000)).astype(np.float32), 16_000)
        (row,) = scoring.score_stream([sound], network)
    if row["error"]:
        raise WeightsError(row["error"])
    return bool(np.isfinite(row["mos"]))


# ---- encoder folders ----


def encoder_folders() -> Iterator[Case]:
    import transformers

    torch.manual_seed(1)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    more = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    model = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**small, **more))

    def folder_with(change: Callable[[Path], None]) -> Callable[[Path], str]:
        def make(folder: Path) -> str:
            model.save_pretrained(folder / "mine")
            (folder / "mine" / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
            change(folder / "mine")
            os.environ["SQA_WEIGHTS"] = str(folder)
            return "mine"

        return make

    def config(**values: Any) -> Callable[[Path], None]:
        def change(folder: Path) -> None:
            found = json.loads((folder / "config.json").read_text())
            dropped = {k for k, v in values.items() if v is ...}
            (folder / "config.json").write_text(json.dumps({k: v for k, v in (found | values).items() if k not in dropped}))

        return change

    def put(name: str, data: bytes) -> Callable[[Path], None]:
        return lambda folder: (folder / name).write_bytes(data)  # type: ignore[return-value]

    yield Case("good", folder_with(lambda folder: None))
    for name in ("config.json", "model.safetensors", "preprocessor_config.json"):
        yield Case(f"no {name}", folder_with(lambda folder, name=name: (folder / name).unlink()))
        for what, data in {"empty": b"", "text": b"not found", "zeros": b"\0" * 1000, "a list": b"[1, 2]", "null": b"null"}.items():
            yield Case(f"{name} {what}", folder_with(put(name, data)))
        yield Case(f"{name} cut", folder_with(lambda f, n=name: (f / n).write_bytes((f / n).read_bytes()[: (f / n).stat().st_size // 2])))
    for key, value in [
        ("model_type", "unknown"), ("model_type", 3), ("model_type", ...), ("hidden_size", 33), ("hidden_size", -1), ("hidden_size", "text"),
        ("hidden_size", 10**9), ("num_hidden_layers", 3), ("num_hidden_layers", 1), ("num_hidden_layers", 0), ("conv_dim", []),
        ("conv_stride", [0] * 7), ("conv_kernel", "x"), ("num_attention_heads", 0), ("torch_dtype", "float16"), ("torch_dtype", "nonsense"),
        ("architectures", ["Evil"]), ("auto_map", {"AutoModel": "code.Model"}), ("quantization_config", {"quant_method": "bitsandbytes"}),
        ("feat_extract_norm", "none"),
    ]:  # fmt: skip
        yield Case(f"config {key}={value!r:.20}", folder_with(config(**{key: value})))
    yield Case("a link to nowhere", folder_with(lambda f: ((f / "model.safetensors").unlink(), (f / "model.safetensors").symlink_to("x"))))  # type: ignore[arg-type, return-value]
    yield Case("weights of NaN", folder_with(lambda f: _nan_weights(f / "model.safetensors")))


def _nan_weights(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(path)
    key = next(k for k in state if k.endswith("weight"))
    save_file(state | {key: state[key] * float("nan")}, path, {"format": "pt"})


def use_encoder(name: str) -> bool:
    from sqa_core.models import encoders

    encoder = encoders.load(name)
    (found,) = encoder.hidden_states([np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)])
    assert bool(torch.isfinite(found).all()), "features are numbers"
    return True


# ---- manifests ----


ROWS = 12


def manifests() -> Iterator[Case]:
    header = ["file", "sha256", "sample_rate", "seconds", "speaker", "language", "licence", "emotion"]
    rows = [[f"{i}.wav", f"{i:064x}", "16000", "1.5", f"s{i % 4}", "de", "CC0", ["angry", "sad"][i % 2]] for i in range(ROWS)]

    def text(header: list[str] = header, rows: list[list[str]] = rows, by: str = ",") -> bytes:
        return "\n".join(by.join(row) for row in (header, *rows)).encode()

    def with_cell(column: str, value: str, row: int = 3) -> bytes:
        changed = [list(r) for r in rows]
        changed[row][header.index(column)] = value
        return text(rows=changed)

    good = text()
    cases: dict[str, bytes] = {"good": good, "semicolons": text(by=";"), "tabs": text(by="\t"), "byte-order mark": b"\xef\xbb\xbf" + good}
    cases |= {
        "UTF-16": good.decode().encode("utf-16"),
        "Latin-1": with_cell("speaker", "Jörg").decode().encode("latin-1"),
        "NUL": good + b"\0\0",
    }
    cases |= {"CR only": good.replace(b"\n", b"\r"), "CRLF": good.replace(b"\n", b"\r\n"), "quoted header": b'"file"' + good[4:]}
    cases |= {
        "unclosed quote": good.replace(b"s1", b'"s1', 1),
        "header alone": text(rows=[]),
        "no header": text()[len(",".join(header)) + 1 :],
    }
    cases |= {
        "cut": good[: len(good) // 2],
        "cut in a row": good[:-20],
        "twice": good + b"\n" + good,
        "blank lines": good.replace(b"\n", b"\n\n"),
    }
    cases |= {
        f"no column {c}": text([h for h in header if h != c], [[v for h, v in zip(header, r, strict=True) if h != c] for r in rows])
        for c in header
    }
    for column, values in {
        "file": ["", "/etc/passwd", "../x.wav", "C:\\x.wav", "..\\x.wav", "0.wav", "a" * 300, "x\x1b[31m.wav"],
        "sha256": ["", "xyz", "NA"],
        "sample_rate": ["", "0", "-1", "fast", "1e12", "NaN", "inf"],
        "seconds": ["", "0", "-1", "1:30", "inf", "1e12"],
        "speaker": ["", "NA", "nan", "None", "NULL", "1"],
        "emotion": ["", "NA", "neutral"],
    }.items():
        cases |= {f"{column} is {value!r:.12}": with_cell(column, value) for value in values}
    cases |= {
        "one cell too many": text(rows=[*rows[:3], [*rows[3], "more"], *rows[4:]]),
        "one cell too few": text(rows=[rows[0][:-1], *rows[1:]]),
    }
    for name, data in cases.items():
        yield Case(name, written("manifest.csv", data))


def use_manifest(path: Path) -> bool:
    from sqa_core.corpora import manifest

    found = manifest.read(path, "mine", "real")
    assert len(found.table) == ROWS
    assert set(found.table["speaker"]) <= {"s0", "s1", "s2", "s3", "NA", "nan", "None", "NULL", "1"}, "names are as they were"
    if "emotion" in found.table:
        assert set(found.table["emotion"]) <= {"angry", "sad", "NA", "neutral"}
    assert np.isfinite(found.table["seconds"].to_numpy(float)).all()
    return True


# ---- records and feature banks ----


def stores() -> Iterator[Case]:
    from sqa_core.results import records

    def record(i: int) -> records.Record:
        return records.Record(f"{i:016x}", {"kind": "k", "seed": i}, {"m": 1.0}, "real", "other", 1.0, "cpu", {}, "commit")

    def store(folder: Path, packed: bool) -> Path:
        place = folder / "x"
        for i in range(3):
            records.write(record(i), place, pd.DataFrame({"a": [1.0, 2.0, float(i)]}), {"b": np.arange(4.0) + i})
        if packed:
            records.pack(place)
        return place

    def changed(packed: bool, name: str, change: Callable[[bytes], bytes | None]) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            place = store(folder, packed)
            path = sorted(place.glob(name))[0]
            data = change(path.read_bytes())
            path.unlink() if data is None else path.write_bytes(data)
            return place

        return make

    yield Case("good", lambda folder: store(folder, False))
    yield Case("good, packed", lambda folder: store(folder, True))
    changes: dict[str, Callable[[bytes], bytes | None]] = {
        "missing": lambda d: None, "empty": lambda d: b"", "cut": lambda d: d[: len(d) // 2], "cut by a byte": lambda d: d[:-1],
        "text": lambda d: b"not found", "zeros": lambda d: b"\0" * len(d), "twice": lambda d: d + d, "flipped": lambda d: d[:40] + bytes([d[40] ^ 8]) + d[41:],
    }  # fmt: skip
    for packed, name in [
        (False, "*.json"),
        (False, "*.parquet"),
        (False, "*.npz"),
        (True, "*.jsonl"),
        (True, "*.parquet"),
        (True, "*.npz"),
    ]:
        for what, change in changes.items():
            if (name, what) != ("*.json", "missing"):  # then it is no record, and its trial is run again
                yield Case(f"{'packed ' * packed}{name} {what}", changed(packed, name, change))
    for field, value in [
        ("key", "f" * 16),
        ("trial", []),
        ("trial", {}),
        ("metrics", None),
        ("wall_s", "1"),
        ("device", 3),
        ("versions", []),
    ]:
        yield Case(
            f"{field} is {value!r}", changed(False, "*.json", lambda d, f=field, v=value: json.dumps(json.loads(d) | {f: v}).encode())
        )
    yield Case("a field more", changed(False, "*.json", lambda d: json.dumps(json.loads(d) | {"more": 1}).encode()))
    yield Case(
        "a field less", changed(False, "*.json", lambda d: json.dumps({k: v for k, v in json.loads(d).items() if k != "device"}).encode())
    )


def use_store(folder: Path) -> bool:
    from sqa_core.results import records

    found = records.read_all(folder)
    assert len(found) == 3, "no record is lost in silence"
    for r in found:
        assert r.items()["a"].tolist()[:2] == [1.0, 2.0]
        assert r.arrays()["b"][0] == r.trial["seed"]
    return True


# ---- feature banks ----


def banks() -> Iterator[Case]:
    from sqa_core.corpora import manifest
    from sqa_core.learning import feature_bank

    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1, (1, 4000 + 800 * i)).astype(np.float32) for i in range(4)]

    def filled(folder: Path, change: Callable[[Path], None]) -> Any:
        for i, sound in enumerate(sounds):
            audio.write_wav(folder / f"{i}.wav", sound, 16_000)
        table = manifest.describe(folder, [f"{i}.wav" for i in range(len(sounds))])
        corpus = manifest.Manifest("mine", table.assign(speaker="s", language="de", licence="CC0"), folder, "real")
        os.environ["SQA_CACHE"] = str(folder / "cache")
        feature_bank._verified.clear()
        whole = feature_bank.bank(corpus, "mel")
        before = whole.frames.copy(), whole.means.copy()
        del whole
        change(next(p for p in (folder / "cache" / "features").iterdir() if p.is_dir()))
        feature_bank._verified.clear()
        return corpus, before

    def case(name: str, file: str, change: Callable[[bytes], bytes | None], unfinished: bool) -> Case:
        def damage(place: Path) -> None:
            path = place / file
            data = change(path.read_bytes())
            path.unlink() if data is None else path.write_bytes(data)
            if unfinished:  # as a run leaves it that is killed before its end
                (place / "whole.json").unlink(missing_ok=True)

        return Case(name, lambda folder: filled(folder, damage))

    yield Case("good", lambda folder: filled(folder, lambda place: None))
    changes: dict[str, Callable[[bytes], bytes | None]] = {
        "missing": lambda d: None, "empty": lambda d: b"", "cut": lambda d: d[: len(d) // 2], "cut and filled with zeros": lambda d: d[: len(d) // 2] + b"\0" * (len(d) - len(d) // 2),
        "extended": lambda d: d + b"\0" * 64, "flipped at the start": lambda d: bytes([d[0] ^ 4]) + d[1:], "flipped in the middle": lambda d: d[: len(d) // 2] + bytes([d[len(d) // 2] ^ 64]) + d[len(d) // 2 + 1 :],
        "flipped at the end": lambda d: d[:-1] + bytes([d[-1] ^ 64]), "text": lambda d: b"not found", "zeros": lambda d: b"\0" * len(d), "twice": lambda d: d + d,
    }  # fmt: skip
    for file in ("whole.json", "frames.npy", "means.npy", "sums.npy"):
        for what, change in changes.items():
            yield case(f"{file} {what}", file, change, unfinished=False)
            if file != "whole.json":
                yield case(f"{file} {what}, unfinished", file, change, unfinished=True)


def use_bank(found: Any) -> bool:
    from sqa_core.learning import feature_bank

    corpus, (frames, means) = found
    again = feature_bank.bank(corpus, "mel")
    assert np.array_equal(again.frames, frames)
    assert np.array_equal(again.means, means)
    return True


KINDS: dict[str, tuple[Callable[[], Iterator[Case]], Callable[[Any], bool]]] = {
    "checkpoints": (checkpoints, use_checkpoint),
    "encoder folders": (encoder_folders, use_encoder),
    "manifests": (manifests, use_manifest),
    "records": (stores, use_store),
    "feature banks": (banks, use_bank),
}


def outcome(case: Case, use: Callable[[Any], bool]) -> tuple[str, str]:
    """refused, right or wrong; and the sentence or the traceback."""
    before = {name: os.environ.get(name) for name in ("SQA_WEIGHTS", "SQA_CACHE")}
    try:
        with tempfile.TemporaryDirectory() as folder:
            assert use(case.make(Path(folder)))
        return "right", ""
    except SqaError as e:
        lines = str(e).strip().splitlines()
        return ("refused", lines[0]) if len(lines) == 1 else ("wrong", f"{len(lines)} lines: {e}")
    except Exception:
        return "wrong", traceback.format_exc()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def main() -> None:
    """Count, and print each that is wrong."""
    audio.import_torchaudio()
    wanted = sys.argv[1:] or list(KINDS)
    for kind in wanted:
        make, use = KINDS[kind]
        counts: Counter[str] = Counter()
        for case in make():
            found, said = outcome(case, use)
            counts[found] += 1
            if found == "wrong":
                print(f"{kind}, {case.name}:\n{said[-1500:]}", flush=True)
        print(
            f"{kind}: {sum(counts.values())} tried, {counts['refused']} refused in one sentence, {counts['right']} right, {counts['wrong']} wrong",
            flush=True,
        )


if __name__ == "__main__":
    main()
