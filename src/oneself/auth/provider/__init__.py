"""The embedded OpenID provider and its pages."""
