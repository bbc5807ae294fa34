"""The differences between machines: registers, operands (pure)."""
