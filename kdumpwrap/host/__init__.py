"""The machine: its distribution, packages, kdump's configuration, memory."""
