"""The dashboard of one host."""

from panels.parts import RATE, SOURCE, Panel, dashboard, moves, number, plot, states

OF_HOST = 'host="$host"'


def host() -> Panel:
    """One host: what it was to have, has, and what goes on in its guests."""
    rows = [
        [
            number("Workers", "none", f"autoscaler_observed_workers{{{OF_HOST}}}"),
            number("In quarantine", "bool_yes_no", f"autoscaler_host_quarantined{{{OF_HOST}}}"),
            number("Out of order", "bool_yes_no", f"autoscaler_host_problem{{{OF_HOST}}}"),
        ],
        [
            plot(
                "Workers",
                "none",
                (f"autoscaler_wanted_workers{{{OF_HOST}}}", "wanted"),
                (f"autoscaler_granted_workers{{{OF_HOST}}}", "granted"),
                (f"autoscaler_observed_workers{{{OF_HOST}}}", "there"),
                steps=True,
            ),
            plot(
                "Workers that guards took",
                "none",
                (f"autoscaler_cut_workers{{{OF_HOST}}}", "{{guard}}"),
                steps=True,
                text="Negative: workers that were to go, and were kept.",
            ),
        ],
        [
            plot("Memory", "bytes", (f"autoscaler_memory_bytes{{{OF_HOST}}}", "{{role}}"), stacked=True),
            plot(
                "CPU in use, in cores",
                "none",
                (f"rate(autoscaler_cpu_seconds_total{{{OF_HOST}}}[{RATE}])", "{{role}}"),
                stacked=True,
            ),
            plot("CPU weight", "none", (f"autoscaler_cpu_weight{{{OF_HOST}}}", "{{role}}"), steps=True),
        ],
        [
            plot(
                "Transfers by result",
                "none",
                (f"increase(autoscaler_transfers_total{{{OF_HOST}}}[{RATE}])", "{{result}}"),
            ),
            states("State", (f"autoscaler_host_state{{{OF_HOST}}}", "{{state}}")),
        ],
        [
            plot(
                "Memory that guests use",
                "bytes",
                (f"domain_memory_used_bytes{{{OF_HOST}}}", "{{domain}} uses"),
                (f"domain_memory_balloon_bytes{{{OF_HOST}}}", "{{domain}} has"),
                text="By the guests' own word. The host must be called alike in the configuration and by the exporter.",
            ),
            plot(
                "Swap",
                "Bps",
                (f"rate(domain_swap_in_bytes_total{{{OF_HOST}}}[{RATE}])", "{{domain}} in"),
                (f"rate(domain_swap_out_bytes_total{{{OF_HOST}}}[{RATE}])", "{{domain}} out"),
            ),
            plot(
                "Waiting for a CPU, in cores",
                "none",
                (f"rate(domain_steal_seconds_total{{{OF_HOST}}}[{RATE}])", "{{domain}}"),
            ),
        ],
    ]
    text = "What one host was to have, has, and what goes on in its guests."
    marks = moves(f"{{{OF_HOST}}}", "$host")
    return dashboard("host", "VAF: host", text, rows, annotations=marks, variables=[_hosts()])


def _hosts() -> Panel:
    """The variable that chooses a host."""
    query = "label_values(autoscaler_host_state, host)"
    return {
        "type": "query",
        "name": "host",
        "label": "Host",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "hosts"},
        "refresh": 2,
        "sort": 1,
    }
