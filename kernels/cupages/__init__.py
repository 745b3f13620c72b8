"""What two local pages share: a small server, its safety, jobs that can be cancelled, and modules for the browser.

    server    the app of a page, and running it on localhost
    safety    what is refused before a page's own code sees it; uploads within limits
    jobs      long work with named steps, for one tab of a browser, cancellable
    report    one HTML file that opens from disk
    vendor    fetches the browser's libraries at build time
    static/   modules, styles and those libraries

It knows neither chips nor grids, and imports starlette and uvicorn only inside functions or modules that a command loads late.
"""
