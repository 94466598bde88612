"""From notebooks to the book: what is stale, papermill, the gate, Jupyter Book."""
