"""`gridmap serve` and `gridmap report`: the page on which a system is looked at, hour by hour, and changed.

    system    a system kept in memory over several region sets; hours, years, scenarios solved when asked
    shapes    its shapes on the plane that the browser draws
    looks     what regions can be coloured by, in which classes
    told      everything about one region
    runs      folders of earlier runs
    app       the routes
    document  the report
    static/   the modules of the page
"""
