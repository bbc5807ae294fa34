"""Debuginfo of the kernel that crashed: asked for, loaded, checked, kept. Nothing is installed."""
