"""The chapters: a package each, all with the same modules, and what several of them share."""
