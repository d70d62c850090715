"""Provisioning an organisation and activating the service."""
