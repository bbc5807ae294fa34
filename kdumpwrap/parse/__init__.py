"""The parsers of tools' output: text -> values. No os, no subprocess; they never raise on any text."""
