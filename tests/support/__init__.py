"""What the tests stand on: databases made from a template, and services run as processes."""
