"""What is sent to people: the outbox, and the postman who sends what is in it."""
