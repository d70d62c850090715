"""From the bytes of an event request to a face-neutral event."""
