"""The demo: a small bookshop plays the registration story on a running service.

    play      starts the service, plays the story, serves the shop, stops everything
    stage     data folder, service process, two applications
    client    requests of the shop's back end, printed as they are sent
    story     the chapters of the registration story
    events    the chapters about events of web pages
    browser   a user's browser: cookies, redirects, forms
    narrator  prints requests, responses and what they changed
    shop      the shop page for trying it by hand
    farewell  prints URLs, credentials and curl commands at the end

Invariants: the package uses the service only through HTTP and the command line, as code of a customer does.
"""
