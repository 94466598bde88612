"""A Sphinx extension: drops from the pages what Jupyter Book 1 adds and this book does not use, and describes each page for previews."""

import html

from docutils import nodes

MIN_CHARACTERS = 60  # of a paragraph that can describe a page


def setup(app):
    app.connect("html-page-context", without_thebe, priority=900)  # after the theme has added its scripts
    app.connect("html-page-context", math_where_needed, priority=900)
    app.connect("html-page-context", described)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def without_thebe(app, pagename, templatename, context, doctree):
    """Thebe is off, yet its settings are written twice into each page (an error in the console), with an address on another host."""
    scripts = context.get("script_files", [])
    context["script_files"] = [s for s in scripts if "thebe" not in f"{getattr(s, 'filename', s)} {getattr(s, 'attributes', '')}".lower()]
    context["css_files"] = [s for s in context.get("css_files", []) if "thebe" not in str(getattr(s, "filename", s))]


def math_where_needed(app, pagename, templatename, context, doctree):
    """MathJax is a megabyte, which MyST-NB puts on every page."""
    if doctree is None or not any(doctree.findall(lambda n: isinstance(n, nodes.math | nodes.math_block))):
        scripts = context.get("script_files", [])
        context["script_files"] = [s for s in scripts if "mathjax" not in str(getattr(s, "filename", s)).lower()]


def described(app, pagename, templatename, context, doctree):
    """A description and an Open Graph card: the page's title and its first paragraph that says something."""
    if doctree is None:
        return
    texts = (" ".join(p.astext().split()) for p in doctree.findall(nodes.paragraph))
    text = next((t for t in texts if len(t) >= MIN_CHARACTERS), app.config.project)
    fields = {"description": text[:300], "og:title": context.get("title", ""), "og:description": text[:300], "og:type": "article"}
    fields |= {"og:site_name": app.config.project, "og:url": context.get("pageurl") or ""}
    tags = "".join(
        f'<meta {"name" if name == "description" else "property"}="{name}" content="{html.escape(str(value))}">\n'
        for name, value in fields.items()
        if value
    )
    context["metatags"] = context.get("metatags", "") + tags
