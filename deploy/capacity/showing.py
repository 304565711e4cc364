"""The needs of one traffic as text, and of three sizes as the tables of deploy/decisions/capacity.md.

Owns the words and the rounding. Refuses to compute.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deploy.capacity.needs import Measured, Needs, measured, needs, prices
from deploy.capacity.traffic import Traffic

PAGE = Path(__file__).parents[1] / "decisions" / "capacity.md"
SIZES = (10_000, 1_000_000, 50_000_000)
TITLES = {10_000: "10 thousand", 1_000_000: "1 million", 50_000_000: "50 million"}
MIB = 1 << 20
LIMIT_MIB = 1536
"""Memory of a front end's pod, as the chart has it."""
BUDGETS_MIB = 832
"""What `limits` allow messages and listings on their way, fetched ahead ones included."""
MOST_SESSIONS = 10_000
"""`limits.connections`."""

Rows = Sequence[tuple[str, str]]


def number(value: float) -> str:
    """Two or three digits that count, in a form that people read."""
    if value == 0:
        return "0"
    if value < 10:
        return f"{value:.2g}"
    for least, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if value >= least:
            scale = {" G": 1e9, " M": 1e6, " k": 1e3}[unit]
            return f"{value / scale:.3g}{unit}"
    return f"{value:,.0f}"


def octets(value: float) -> str:
    """Decimal units, as disks and object stores count."""
    for scale, unit in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e3:.3g} kB"


def rows(t: Traffic, n: Needs) -> Rows:
    """What is needed and how much of it, in the order of the page."""
    f, p, r, o = n.front, n.postgres, n.redis, n.objects
    return [
        ("polls a second, peak", number(t.polls * t.peak)),
        ("messages delivered a second, peak", number(t.arrivals * t.peak)),
        ("passwords computed anew", f"{100 * f.computed:.0f} % of logins"),
        ("front ends: cores for sessions", number(f.loop_cores)),
        ("front ends: cores for Argon2", number(f.hashing_cores)),
        (f"front ends: pods of {t.pod_cores:g} cores", number(f.pods)),
        ("front ends: sessions in a pod", number(f.sessions_per_pod)),
        ("LMTP: cores", number(n.lmtp.cores)),
        ("LMTP: pods of 1 core", number(n.lmtp.pods)),
        ("Postgres: cores at work", number(p.cores)),
        ("Postgres: statements a second", number(p.statements)),
        ("Postgres: connections at most", number(p.connections)),
        ("Postgres: flushes of WAL a second", number(p.flushes)),
        ("Postgres: WAL a second", octets(p.wal_octets)),
        ("Postgres: rows of messages", number(p.rows)),
        ("Postgres: disk for messages", octets(p.messages_octets)),
        ("Postgres: disk for the audit", octets(p.audit_octets)),
        ("Postgres: disk for maildrops, credentials, fences", octets(p.other_octets)),
        ("Redis: calls a second", number(r.calls)),
        ("Redis: cores", number(r.cores)),
        ("Redis: memory", octets(r.octets)),
        ("object store: PUT a month", number(o.puts)),
        ("object store: GET a month", number(o.gets)),
        ("object store: DeleteObjects a month", number(o.deletes)),
        ("object store: LIST a month", number(o.lists)),
        ("object store: PUT / GET a second, peak", f"{number(o.writes_a_second)} / {number(o.reads_a_second)}"),
        ("object store: held", octets(o.octets)),
    ]


def dollars(n: Needs) -> Mapping[str, Mapping[str, float]]:
    """US dollars in a month by store: requests, storage, both."""
    found = {}
    for name, price in prices().items():
        cost = n.objects.cost(price)
        requests = sum(cost.values()) - cost["storage"]
        found[name] = {"requests": requests, "storage": cost["storage"], "together": requests + cost["storage"]}
    return found


def chart(t: Traffic, n: Needs, m: Measured) -> str:
    """Values for the Helm chart."""
    f = n.front
    each = m["memory"]["session_tls"] * t.tls + m["memory"]["session"] * (1 - t.tls)
    # Sessions at rest may fill half of what the budgets and the process itself leave of a pod's memory.
    room = (LIMIT_MIB - BUDGETS_MIB) * MIB - m["memory"]["process"]
    sessions = min(MOST_SESSIONS, int(room / 2 / each) // 500 * 500)
    return "\n".join(
        [
            "frontEnd:",
            "  resources:",
            f'    requests: {{cpu: "{t.pod_cores:g}", memory: 1Gi}}',
            f"    limits: {{memory: {LIMIT_MIB}Mi}}",
            "autoscaling:",
            "  type: hpa",
            f"  minReplicas: {max(3, math.ceil(f.pods / t.peak))}",
            f"  maxReplicas: {math.ceil(f.pods * 1.5)}",
            f"  cpuPercent: {100 * t.use:.0f}",
            f"  sessionsPerPod: {sessions}",
            "lmtp:",
            f"  replicas: {n.lmtp.pods}",
        ]
    )


def report(t: Traffic) -> str:
    """Everything about one traffic."""
    m = measured()
    n = needs(t, m)
    lines = [f"{name:52}{value}" for name, value in rows(t, n)]
    lines += ["", f"{'US dollars a month':52}{'requests':>12}{'storage':>12}{'together':>12}"]
    for name, cost in dollars(n).items():
        lines.append(f"{prices()[name]['title']:52}" + "".join(f"{each:>12,.0f}" for each in cost.values()))
    lines += ["", "Helm values:", "", chart(t, n, m), ""]
    lines.append(
        f"By what was measured on {m['measured']} ({m['machine']}). Leave room: these are means and a peak factor."
    )
    return "\n".join(lines) + "\n"


def table() -> str:
    """The three sizes, beside one another, with the default traffic."""
    m = measured()
    sizes = [replace(Traffic(), maildrops=size) for size in SIZES]
    columns = [rows(t, needs(t, m)) for t in sizes]
    lines = ["| | " + " | ".join(TITLES[size] for size in SIZES) + " |", "|---|" + "---|" * len(SIZES)]
    lines += [
        f"| {each[0][0]} | " + " | ".join(value for _, value in each) + " |" for each in zip(*columns, strict=True)
    ]
    return "\n".join(lines)


def costs() -> str:
    """What each store asks in a month, at the three sizes."""
    m = measured()
    lines = ["| US dollars a month: requests + storage | " + " | ".join(TITLES[size] for size in SIZES) + " |"]
    lines.append("|---|" + "---|" * len(SIZES))
    all_of_them = [dollars(needs(replace(Traffic(), maildrops=size), m)) for size in SIZES]
    for name, price in prices().items():
        cells = [f"{each[name]['requests']:,.0f} + {each[name]['storage']:,.0f}" for each in all_of_them]
        lines.append(f"| {price['title']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


LEVERS: tuple[tuple[str, dict[str, float]], ...] = (
    ("as above", {}),
    ("TLS ends at the balancer", {"tls": 0}),
    ("an address comes to one pod, `hashing.remember_seconds` is 3600", {"same_pod": 1, "remember_seconds": 3600}),
    ("app passwords everywhere", {"app_passwords": 1}),
    ("app passwords, and TLS at the balancer", {"app_passwords": 1, "tls": 0}),
    ("`sweep.audit_retention_days` is 30", {"audit_days": 30}),
    ("one sweep a day", {"sweeps_per_day": 1}),
)  # fmt: skip


def levers() -> str:
    """What changes the needs of a million maildrops most."""
    lines = ["| a million maildrops | cores for Argon2 | all cores | pods | audit on disk | LIST a month |"]
    lines.append("|---|---|---|---|---|---|")
    for words, change in LEVERS:
        n = needs(replace(Traffic(), **change), measured())
        front = n.front
        cells = (
            number(front.hashing_cores),
            number(front.hashing_cores + front.loop_cores),
            str(front.pods),
            octets(n.postgres.audit_octets),
            number(n.objects.lists),
        )
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def units() -> str:
    """What one of each thing costs."""
    m = measured()
    cpu, db, memory, redis = m["cpu"], m["postgres"], m["memory"], m["redis"]

    def line(what: str, value: float, unit: str) -> str:
        return f"| {what} | {value:,.0f} {unit} |" if value >= 100 else f"| {what} | {value:.3g} {unit} |"

    milli, kilo = 1000.0, 1e-3
    return "\n".join(
        [
            f"| {m['machine']}; {m['measured']} | |",
            "|---|---|",
            line("a poll (USER, PASS, STAT, QUIT): front end", cpu["poll"] * milli, "ms of CPU"),
            line("... Postgres", cpu["postgres_poll"] * milli, "ms"),
            line("... Redis", redis["calls_poll"] * redis["cpu_call"] * milli, "ms"),
            line("UIDL of 20 messages besides: front end", cpu["listing"] * milli, "ms"),
            line("... Postgres", cpu["postgres_listing"] * milli, "ms"),
            line("a TLS handshake in the process", cpu["tls"] * milli, "ms"),
            line("a password computed with Argon2id", cpu["argon2id"] * milli, "ms"),
            line("a message retrieved: front end", cpu["message"] * milli, "ms"),
            line("a megabyte retrieved: front end", cpu["megabyte"] * milli, "ms"),
            line("a message delivered: LMTP", cpu["delivery"] * milli, "ms"),
            line("... Postgres", cpu["postgres_delivery"] * milli, "ms"),
            line("a megabyte delivered: LMTP", cpu["delivery_megabyte"] * milli, "ms"),
            line("a message removed: Postgres", cpu["postgres_removal"] * milli, "ms"),
            line("an idle session, TLS ended before", memory["session"] * kilo, "kB (PSS)"),
            line("an idle session, TLS in the process", memory["session_tls"] * kilo, "kB (PSS)"),
            line("an idle session: Redis", redis["octets_session"] * kilo, "kB"),
            line("a maildrop that was logged in to within 14 days: Redis", redis["octets_maildrop"] * kilo, "kB"),
            line("a message: disk, indexes included", db["message_octets"], "octets"),
            line("a maildrop with its credential and fence: disk", db["maildrop_octets"], "octets"),
            line("an entry of the audit: disk", db["audit_octets"], "octets"),
            line("WAL of a poll", db["wal_poll"], "octets"),
            line("WAL of a delivery", db["wal_delivery"], "octets"),
            line("WAL of a removal", db["wal_removal"], "octets"),
        ]
    )


MADE = {"units": units, "sizes": table, "costs": costs, "levers": levers}
"""The parts of the page that are made, by the names of their markers."""


def page(text: str) -> str:
    """The page with each made part as it should be."""
    for name, make in MADE.items():
        begin, end = f"<!-- made: {name} -->", f"<!-- end: {name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{make()}\n{end}{rest.partition(end)[2]}"
    return text
