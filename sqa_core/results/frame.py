"""Records as one table: one row per record, the trial's settings flattened. Selection is a mask, a table's cells are a groupby."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import SettingsError
from .records import Record

# Columns that are not of the trial.
_OWN = ("key", "data_status", "model_status", "wall_s", "device", "commit")


def of(records: Sequence[Record]) -> pd.DataFrame:
    """One row per record.

    Returns
    -------
    Columns: `record`, the record itself; `key`, `data_status`, `model_status`, `wall_s`, `device`, `commit`; every field of the trial,
    nested ones with a dot (`settings.head`); every metric after `metrics.` (`metrics.f1`). Lists become tuples, so that they compare.
    What a record does not have is NaN. Without records, the table has no rows, and `kind` is the only column of a trial.
    """
    rows = []
    for r in records:
        row: dict[str, Any] = {"record": r} | {name: getattr(r, name) for name in _OWN}
        row |= {k: v for k, v in flattened(r.trial).items() if k not in row}
        row |= flattened(r.metrics, "metrics.", depth=1)
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else ["record", *_OWN, "kind"])


def flattened(fields: Mapping[str, Any], prefix: str = "", depth: int = 9) -> dict[str, Any]:
    """Nested fields by dotted names.

    Parameters
    ----------
    prefix : put before every name.
    depth : levels that are flattened; at 1, nested fields stay dictionaries.

    Returns
    -------
    Values by name. Lists become tuples, and empty dictionaries stay.

    Examples
    --------
    >>> flattened({"seed": 1, "settings": {"head": "linear", "betas": [0.9, 0.98]}})
    {'seed': 1, 'settings.head': 'linear', 'settings.betas': (0.9, 0.98)}
    """
    out: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and depth > 1 and value:
            out |= flattened(value, f"{prefix}{name}.", depth - 1)
        else:
            out[f"{prefix}{name}"] = tuple(value) if isinstance(value, list) else value
    return out


def select(table: pd.DataFrame, kind: str | None = None, fields: Mapping[str, Any] = {}, **more: Any) -> pd.DataFrame:
    """The rows of one kind of trial whose fields have these values.

    Parameters
    ----------
    table : as `of` makes it.
    kind : a trial's `kind`; every kind if not given.
    fields : values by column name, for names with a dot such as "settings.head".
    more : values by column name. Lists and tuples compare as equal if their items do. None matches a field that a record does not have.

    Returns
    -------
    The rows that match all of them, in their order and with their index.
    """
    return table[_mask(table, kind, {**fields, **more})]


def _mask(table: pd.DataFrame, kind: str | None, fields: Mapping[str, Any]) -> np.ndarray:
    mask = np.ones(len(table), bool) if kind is None else (table["kind"] == kind).to_numpy(bool)
    for name, value in fields.items():
        mask = mask & equals(table, name, value)
    return mask


def equals(table: pd.DataFrame, name: str, value: Any) -> np.ndarray:
    """(rows,) of bool: where a column has a value; a list or tuple is compared as one."""
    if name not in table:
        return np.full(len(table), value is None)
    if value is None:
        return table[name].isna().to_numpy()
    if isinstance(value, tuple | list):
        wanted = tuple(value)
        return np.fromiter((v == wanted for v in table[name]), bool, len(table))
    return (table[name] == value).to_numpy()


def records(table: pd.DataFrame, kind: str | None = None, fields: Mapping[str, Any] = {}, **more: Any) -> list[Record]:
    """The records of the rows that `select` returns; parameters as there.

    Returns
    -------
    Records in the order of the table.
    """
    return table["record"].to_numpy()[_mask(table, kind, {**fields, **more})].tolist()


def only(table: pd.DataFrame, kind: str | None = None, fields: Mapping[str, Any] = {}, **more: Any) -> Record | None:
    """The one record of the rows that `select` returns; parameters as there.

    Returns
    -------
    The record, or None if there is none.

    Raises
    ------
    SettingsError
        There are several, so that taking one of them would be arbitrary.
    """
    found = records(table, kind, fields, **more)
    if len(found) > 1:
        wanted = ", ".join(f"{k}={v!r}" for k, v in {**fields, **more}.items())
        raise SettingsError(f"The store holds {len(found)} records of {kind} with {wanted}; remove those that are not meant.")
    return found[0] if found else None


def export(records: Sequence[Record]) -> pd.DataFrame:
    """Records as the plain table that `sqa records` writes: trial fields and single metrics, nothing that is itself a table.

    Returns
    -------
    One row per record, with the columns of `of` except `record` and those that hold dictionaries. Tuples are written as JSON.
    """
    table = of(records).drop(columns="record")
    nested = [c for c in table if table[c].map(lambda v: isinstance(v, dict)).any()]
    table = table.drop(columns=nested)
    for name in table:
        if table[name].map(lambda v: isinstance(v, tuple)).any():
            table[name] = [json.dumps(v) if isinstance(v, tuple) else v for v in table[name]]
    return table
