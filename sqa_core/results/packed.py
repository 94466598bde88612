"""Tables and arrays of many records in one file each: `KIND.parquet` and `KIND.npz`.

A record's rows are adjacent in the Parquet file, with its key in the column `key`. What the joined table cannot say by itself, that a
record lacks columns, has another type in one, or has no rows, is in the file's metadata. A table comes back exactly as it was or is not
joined, except that a categorical column may come back with the categories of all records.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..errors import SettingsError
from . import store

KEY = "key"
_DIFFERENT = b"sqa_columns"  # metadata: for records that differ from the joined table, their columns and types


@contextmanager
def readable(place: str, what_to_do: str = "delete it and its record to have them computed again") -> Iterator[None]:
    """One sentence for a damaged table or damaged arrays, whose readers raise many kinds of errors."""
    try:
        yield
    except (FileNotFoundError, SettingsError):
        raise
    except Exception as e:
        raise SettingsError(f"{place}: cannot be read ({type(e).__name__}); {what_to_do}.") from e


class Attachments:
    """Tables and arrays of all records of one kind, read once when the first is asked for."""

    def __init__(self, folder: str, kind: str):
        self.folder, self.kind = folder, kind

    def _bytes(self, ending: str) -> io.BytesIO:
        return io.BytesIO(store.read_bytes(self.folder, f"{self.kind}.{ending}"))

    @cached_property
    def _joined(self) -> "Joined":
        with readable(f"{self.folder}/{self.kind}.parquet", "restore the file"):
            return Joined(self._bytes("parquet"))

    def items(self, key: str) -> pd.DataFrame:
        """The table of one record; raises FileNotFoundError if it has none."""
        return self._joined.table(key)

    def has_items(self, key: str) -> bool:
        try:
            return key in self._joined
        except FileNotFoundError:
            return False

    @cached_property
    def _arrays(self) -> Mapping[str, np.ndarray]:
        try:
            with readable(f"{self.folder}/{self.kind}.npz", "restore the file"):
                return np.load(self._bytes("npz"), allow_pickle=False)
        except FileNotFoundError:
            return {}

    def arrays(self, key: str) -> dict[str, np.ndarray]:
        """The arrays of one record by name; none if it has none."""
        with readable(f"{self.folder}/{self.kind}.npz", "restore the file"):
            return {n.removeprefix(f"{key}/"): self._arrays[n] for n in self._arrays if n.startswith(f"{key}/")}


class Joined:
    """A joined Parquet file, to be taken apart again."""

    def __init__(self, source: io.BytesIO):
        import pyarrow.parquet as pq

        table = pq.read_table(source)
        keys = table.column(KEY).to_numpy()
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, int)
        ends = np.append(starts[1:], len(keys))[: len(starts)]
        self._rows = {str(keys[a]): (int(a), int(b)) for a, b in zip(starts, ends, strict=True)}
        self._different: dict[str, dict[str, str]] = json.loads((table.schema.metadata or {}).get(_DIFFERENT, b"{}"))
        self._table = table.drop_columns(KEY).replace_schema_metadata()

    def __contains__(self, key: str) -> bool:
        return key in self._rows or key in self._different

    @cached_property
    def _frame(self) -> pd.DataFrame | None:
        """All rows as pandas, from which slices are fast; None if missing columns of some records would change the types of others."""
        changed = [c for c in self._table.columns if c.null_count and not _holds_nulls(c.type)]
        return None if changed else self._table.to_pandas()

    def table(self, key: str) -> pd.DataFrame:
        if key not in self:
            raise FileNotFoundError(f"the record {key} has no table")
        start, end = self._rows.get(key, (0, 0))
        if key not in self._different and self._frame is not None:
            return self._frame.iloc[start:end].reset_index(drop=True)
        return self._part(key, start, end).to_pandas()

    def _part(self, key: str, start: int, end: int) -> Any:
        import pyarrow as pa

        part = self._table.slice(start, end - start)
        if key not in self._different:
            return part
        columns = self._different[key]
        types = {f.name: f.type for f in part.schema}
        # pandas has one type for Arrow's several of text and of categories.
        types |= {n: pa.type_for_alias(k) for n, k in columns.items() if "string" not in k and k != str(types[n])}
        return part.select(list(columns)).cast(pa.schema([(n, types[n]) for n in columns]))


def _holds_nulls(kind: Any) -> bool:
    """Whether pandas keeps a column of this Arrow type as it is when values are missing."""
    import pyarrow as pa

    return pa.types.is_floating(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)


def join(tables: Mapping[str, pd.DataFrame]) -> tuple[bytes, set[str]]:
    """One Parquet file of the tables of several records, and the keys of those that it can hold exactly.

    The others have a column named `key`, types that the joined table has no name for, or a column whose type agrees with no other table.
    """
    import pyarrow as pa

    parts = {key: pa.Table.from_pandas(t, preserve_index=False).replace_schema_metadata() for key, t in tables.items()}
    schemas = list({p.schema: None for p in parts.values() if KEY not in p.column_names})
    whole: Any = pa.schema([])
    fitting = []
    for schema in schemas:
        try:
            whole = pa.unify_schemas([whole, schema], promote_options="permissive")
            fitting.append(schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            continue
    kept = {key: p for key, p in parts.items() if p.schema in fitting and _fits(p, whole)}
    while True:
        data = _file_of(kept, whole)
        joined = Joined(io.BytesIO(data))
        exact = {key for key in kept if _comes_back(joined, key, tables[key])}
        if exact == kept.keys():
            return data, exact
        kept = {key: p for key, p in kept.items() if key in exact}


def _comes_back(joined: Joined, key: str, table: pd.DataFrame) -> bool:
    try:
        back = joined.table(key)
    except ValueError:  # a type without a name
        return False
    categorical = table.select_dtypes("category").columns
    if list(categorical) != list(back.select_dtypes("category").columns):
        return False
    return back.astype(dict.fromkeys(categorical, object)).equals(table.astype(dict.fromkeys(categorical, object)))


def _fits(part: Any, whole: Any) -> bool:
    import pyarrow as pa

    try:
        pa.concat_tables([whole.empty_table(), part], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # such as an integer above 2**53 in a column of floats
        return False
    return True


def _file_of(parts: Mapping[str, Any], whole: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    keys = pa.array([key for key, p in parts.items() for _ in range(len(p))], pa.string()).dictionary_encode()
    rows = pa.concat_tables([whole.empty_table(), *parts.values()], promote_options="permissive")
    different = {key: {f.name: str(f.type) for f in p.schema} for key, p in parts.items() if not len(p) or not p.schema.equals(whole)}
    rows = rows.add_column(0, KEY, keys).replace_schema_metadata({_DIFFERENT: json.dumps(different).encode()})
    out = io.BytesIO()
    pq.write_table(rows, out, compression="zstd")
    return out.getvalue()


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays under any names as a compressed NumPy archive (`numpy.savez` takes no array that is called "file")."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # with a fixed date, so that the same arrays give the same bytes
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return out.getvalue()
