"""The Customer Data Service face (wire/cds): strict bodies in, exact answers and error sentences out.

The words of this wire live here and nowhere else; what they mean is decided in `service` and `core`.
"""
