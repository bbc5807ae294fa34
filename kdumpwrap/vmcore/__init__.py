"""The vmcore, read with crash(8): as much of it as the machine allows."""
