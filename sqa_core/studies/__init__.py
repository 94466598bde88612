"""One file per chapter: its settings, its grid of trials, its tables and claims. No plotting, no prose."""
