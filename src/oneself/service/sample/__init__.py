"""Sample data of an organisation, which can be removed again."""
