"""The demo: a small bookshop that plays the registration story of the seed on a running service.

    play     the whole evening: stage up, story, shop, stage down
    stage    a folder of its own, the service as a process, two applications
    client   requests of the shop's back end, told as they go
    story    what happens, chapter by chapter, through public HTTP only
    browser  a person's browser: cookies, redirects, forms
    teller   how a request and what it changed are printed
    shop     the page that people click through afterwards

Law of this package: it knows the service by its wires and its command line, as any customer's code does.
"""
