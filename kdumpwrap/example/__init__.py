"""The worked example: a small tree shaped like a CentOS host, and the module that unpacks it."""
