"""Are these the bytes that ran: the log's code bytes against those of the vmlinux (pure)."""
