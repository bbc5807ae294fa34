"""The diagnosis of a host: whether it saves its next crash, and whether crashes can be analysed here."""
