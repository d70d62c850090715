"""What happened: events of a person, the live stream, the timeline of a profile."""
