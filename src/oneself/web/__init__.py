"""What HTML pages share: security headers, form tokens, session cookies, static files, a template."""
