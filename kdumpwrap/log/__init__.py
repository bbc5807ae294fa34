"""The parsers of a kernel log: text -> reports. No os, no subprocess; they never raise on any text."""
