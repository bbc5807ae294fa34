"""The calls of the tools: their arguments, their time limits, and their text for kdumpwrap.parse."""
