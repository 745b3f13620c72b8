"""`gridmap serve`, as a sentence."""

import ipaddress

from gridmap import InputError
from gridmap.config import from_options
from gridmap.page import runs


def serve(folders, toml, host="127.0.0.1", port=None, browser=True, say=print):
    """Serve the page until interrupted. folders: of earlier runs; toml: of a config, or None. Raises InputError."""
    if folders and toml:
        raise InputError("a RUN says itself what it was made of; leave --config out, or RUN")
    earlier, config = [runs.read(folder) for folder in folders], from_options(toml)
    from cupages import server

    from gridmap.page import app

    try:
        made = app.create(config, earlier, hosts=hosts(host))
        server.serve(made, host, port, browser=browser, say=say)
    except server.PageError as error:
        raise InputError(str(error)) from None


def hosts(host):
    """Names under which the page may be asked for: this machine's only, unless the user bound it to a network."""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return (host,) if local else None
