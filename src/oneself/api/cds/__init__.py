"""The Customer Data Service wire: strict bodies in, exact responses and error texts out.

The words of this wire stay in this package; `service` and `core` decide what they mean.
Source: docs/wire/cds.md.
"""
