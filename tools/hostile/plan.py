"""How large a hostile run is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Counts of cases, and how many seconds each part may begin new ones; `quick` guards CI, `full` makes figures."""

    seed: int
    prompts: int  # on a server
    starved: int  # nodes of a server without memory, one by one
    stops: int
    allocations: int  # of all nodes together; where they have more, they are drawn
    saves: int  # of each of eight processes at once
    kills: int  # of a process that saves
    server_kills: int  # of a whole server that saves
    fuzz: int  # cases of all readers together
    limit: float | None = None


def quick(seed: int) -> Plan:
    """In minutes on two busy cores."""
    return Plan(
        seed,
        prompts=12,
        starved=0,
        stops=40,
        allocations=100,
        saves=10,
        kills=24,
        server_kills=1,
        fuzz=3_000,
        limit=12,
    )


def full(seed: int) -> Plan:
    """Hours."""
    return Plan(
        seed,
        prompts=1_000,
        starved=6,
        stops=500,
        allocations=10**6,
        saves=200,
        kills=200,
        server_kills=200,
        fuzz=100_000,
    )
