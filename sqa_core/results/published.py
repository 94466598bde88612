"""What the papers print: tables of numbers, claims and contradictions, each row with its place in the paper."""

import pandas as pd

from .. import environment
from ..errors import SettingsError


def read(slug: str, table: str) -> pd.DataFrame:
    """A table that a paper prints, from `book/published/SLUG/TABLE.csv`.

    Parameters
    ----------
    slug : of the chapter about the paper.
    table : name of the file without its ending.

    Returns
    -------
    The columns of the file; `source` is the place in the paper.

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
    """The claims of a paper, as its ledger states them.

    Returns
    -------
    One row per claim: id, claim, test, published_value, source.

    Raises
    ------
    SettingsError
        No chapter has this slug, or it has no table of claims.
    """
    return read(slug, "claims")


def contradictions(slug: str) -> pd.DataFrame:
    """Statements in a paper that contradict each other, and what this book does about it.

    Returns
    -------
    One row per contradiction: id, topic, statement A, statement B, arithmetic, verdict, our choice, source.

    Raises
    ------
    SettingsError
        No chapter has this slug, or it has no table of contradictions.
    """
    return read(slug, "contradictions").rename(
        columns={"statement_a": "statement A", "statement_b": "statement B", "what_we_do": "our choice"}
    )
