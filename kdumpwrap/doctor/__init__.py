"""Will this host catch its next crash, and can that be read here?"""
