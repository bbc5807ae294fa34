"""From ``symbol+offset`` to file, line and instructions."""
