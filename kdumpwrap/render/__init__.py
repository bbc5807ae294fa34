"""Model in, text out. Nothing here prints."""
