"""A Sphinx extension of a few lines: keeps from the pages what Jupyter Book 1 adds and this book does not use."""


def setup(app):
    app.connect("html-page-context", without_thebe, priority=900)  # after the theme has added its scripts
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def without_thebe(app, pagename, templatename, context, doctree):
    """Thebe is off, yet its settings are written twice into each page (an error in the console), with an address on another host."""
    scripts = context.get("script_files", [])
    context["script_files"] = [s for s in scripts if "thebe" not in f"{getattr(s, 'filename', s)} {getattr(s, 'attributes', '')}".lower()]
    context["css_files"] = [s for s in context.get("css_files", []) if "thebe" not in str(getattr(s, "filename", s))]
