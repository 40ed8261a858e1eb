"""Can't be created."""


def create(setup):
    raise ValueError(f"no mode {setup.mode!r} here, expected another\nwith a second line")
