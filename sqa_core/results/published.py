"""What the papers print: tables of numbers, claims and contradictions, each row with its place in the paper."""

import pandas as pd

from .. import environment
from ..errors import SettingsError


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


def contradictions(slug: str) -> pd.DataFrame:
    """Statements in a paper that contradict each other, and what this book does about it."""
    return read(slug, "contradictions").rename(
        columns={"statement_a": "statement A", "statement_b": "statement B", "what_we_do": "our choice"}
    )
