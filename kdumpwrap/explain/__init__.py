"""The explanation of a failure, in words (pure)."""
