"""Starts the tools: knows their argument lists and time limits, hands their text to kdumpwrap.parse."""
