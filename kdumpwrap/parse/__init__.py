"""Text in, model out: the logs and the tools' output. No os, no subprocess; never raises on any text."""
