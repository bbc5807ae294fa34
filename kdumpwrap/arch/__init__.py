"""What differs between the machines: registers, operands (pure)."""
