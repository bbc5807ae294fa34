"""Many crashes: analysed in parallel, kept, grouped, merged."""
