"""Shared code of HTML pages: security headers, CSRF tokens, session cookies, static files, templates."""
