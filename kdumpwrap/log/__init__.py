"""The kernel's words -> reports. No os, no subprocess; never raises on any text."""
