"""A path -> the files of a crash."""
