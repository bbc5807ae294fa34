"""The culprit, the suspect and the signature of a crash (pure)."""
