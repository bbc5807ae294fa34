"""``--html``: pages to hand on, each a single file. ``page`` is one crash, ``index`` a whole /var/crash."""

from kdumpwrap.render.html.crash import page

__all__ = ["page"]
