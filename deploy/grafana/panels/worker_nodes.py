"""The dashboard of the Worker Nodes."""

from panels.parts import RATE, Panel, dashboard, plot


def worker_nodes() -> Panel:
    """What the Grid sees of PROOF: the efficiency of its jobs."""
    rows = [
        [
            plot(
                "CPU efficiency of the running jobs",
                "percentunit",
                ("wn_cpu_efficiency_ratio", "CPU time of wall time times cores"),
                text="As the Grid's accounting sees it: since each job's start, so that it is slow to change.",
            ),
            plot("PROOF's workers", "none", ("facility:autoscaler_observed_workers:sum", "workers"), steps=True),
        ],
        [
            plot("Batch jobs", "none", ("sum by (state) (wn_jobs)", "{{state}}"), stacked=True),
            plot(
                "Slots and cores",
                "none",
                ("sum by (state) (wn_slots)", "slots {{state}}"),
                ("sum(wn_cores_allocated)", "cores of running jobs"),
            ),
        ],
        [
            plot(
                "Memory of the Worker Nodes",
                "bytes",
                ('facility_role:autoscaler_memory_bytes:sum{role="wn"}', "in all"),
            ),
            plot(
                "CPU of the Worker Nodes, in cores",
                "none",
                (f'sum(rate(autoscaler_cpu_seconds_total{{role="wn"}}[{RATE}]))', "in use"),
            ),
        ],
        [
            plot("Read from swap", "Bps", ("domain:domain_swap_in_bytes:rate5m", "{{host}} {{domain}}")),
            plot(
                "Worker Nodes that began to swap",
                "none",
                (f"increase(autoscaler_strains_total[{RATE}])", "{{host}}"),
                text="Each time the transfer ended, and the host did not grow for a while.",
            ),
        ],
    ]
    text = "What the batch jobs lose while PROOF has workers."
    return dashboard("worker-nodes", "VAF: Worker Nodes as the Grid sees them", text, rows)
