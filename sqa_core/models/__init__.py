"""Networks, and how their weights come in and go out."""
