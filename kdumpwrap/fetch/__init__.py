"""Debuginfo of the kernel that crashed: downloaded, checked and kept. Nothing is installed."""
