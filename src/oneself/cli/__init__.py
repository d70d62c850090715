"""The command line. Each module defines the commands for one noun."""
