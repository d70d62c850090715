"""Who is calling and what may they do; the authorization server and its pages."""
