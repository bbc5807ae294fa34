"""Many crashes: analysed side by side, kept, grouped, merged."""
