"""The interactions face (wire/interactions): events of browsers and servers in, one internal form out.

The words of this wire live here and nowhere else; what they mean is decided in `service` and `core`.
"""
