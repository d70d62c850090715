"""Events of the event wires: from the decoded event to its result."""
