"""``--html``: pages to hand on, each a single file. ``page`` is the page of one crash, ``index`` that of a batch."""

from kdumpwrap.render.html.crash import Case, page
from kdumpwrap.render.html.overview import Bug, bug, index

__all__ = ["Bug", "Case", "bug", "index", "page"]
