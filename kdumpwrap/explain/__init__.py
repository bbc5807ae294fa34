"""Why it failed, in words (pure)."""
