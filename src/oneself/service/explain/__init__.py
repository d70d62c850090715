"""Why things are as they are: the joins of a profile, and the way between two."""
