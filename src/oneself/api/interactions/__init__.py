"""The interactions wire: events of browsers and servers, and the look-ups of its vendor.

The words of this wire stay in this package; `service` and `core` decide what they mean.
Source: docs/wire/interactions.md.
"""
