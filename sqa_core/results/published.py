"""What the papers print: tables of numbers, claims and contradictions, each row with its place in the paper."""

from collections.abc import Sequence

import pandas as pd

from .. import environment
from ..errors import SettingsError
from .claims import Finding


def read(slug: str, table: str) -> pd.DataFrame:
    """`book/published/SLUG/TABLE.csv`; every row has a `source`.

    Raises
    ------
    SettingsError
        There is no such table.
    """
    path = environment.resource("book", "published", slug, f"{table}.csv")
    if not path.is_file():
        raise SettingsError(f"{path}: there is no published table {table!r} of {slug!r}.")
    return pd.read_csv(path)


def claims(slug: str) -> pd.DataFrame:
    """id, claim, test, published_value, source of each claim of a paper."""
    return read(slug, "claims")


def on_claims(slug: str, findings: Sequence[Finding]) -> list[Finding]:
    """The findings on what a paper claims; without those on checks of ours, and on questions that it leaves open."""
    kinds = read(slug, "quotations").set_index("id")["kind"]
    return [f for f in findings if kinds[f.id] == "claim"]


def contradictions(slug: str) -> pd.DataFrame:
    """Statements in a paper that contradict each other, and what this book does about it."""
    return read(slug, "contradictions").rename(
        columns={"statement_a": "statement A", "statement_b": "statement B", "what_we_do": "our choice"}
    )
