"""Notebook pairs: `notebooks/SLUG.py` is written, `notebooks/SLUG.ipynb` made from it, without outputs and with cell ids that stay.

`python -m sqa_core.pipeline.pairs` writes the pairs, with `--check` it only says which differ.
"""

import sys
from pathlib import Path

import jupytext
import nbformat

from . import chapters


def paired(script: Path) -> str:
    """The notebook of a percent script, as text; the same text each time (jupytext alone draws new cell ids)."""
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def main() -> None:
    differing = []
    for script in sorted((chapters.root() / "notebooks").glob("*.py")):
        notebook = script.with_suffix(".ipynb")
        text = paired(script)
        if not notebook.is_file() or notebook.read_text(encoding="utf-8") != text:
            differing.append(notebook.name)
            if "--check" not in sys.argv:
                notebook.write_text(text, encoding="utf-8")
    if "--check" in sys.argv and differing:
        sys.exit(f"These notebooks are not the pairs of their scripts: {', '.join(differing)}; run `make format`.")


if __name__ == "__main__":
    main()
