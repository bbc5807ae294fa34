"""Whom to ask (pure)."""
