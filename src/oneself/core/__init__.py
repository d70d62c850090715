"""The rules: pure functions on frozen values. Imports no other package of the project and does no I/O."""
