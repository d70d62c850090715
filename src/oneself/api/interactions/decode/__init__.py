"""From the bytes of an event request to an `IncomingEvent`."""
