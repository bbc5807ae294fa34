"""The values that cross a module's border, from the log's lines to the finished analysis."""
