"""The code check: the log's code bytes against those of the vmlinux (pure)."""
