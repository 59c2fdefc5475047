"""The dashboard of the whole facility."""

from panels.parts import RATE, Panel, dashboard, number, plot, states

BUSY = 'sum(proof_sessions{state=~"running|starting|unknown"})'


def facility() -> Panel:
    """Queue, workers, and what both kinds of domains have, on one time axis."""
    quantile = f"sum by (le) (rate(autoscaler_transfer_duration_seconds_bucket[{RATE}]))"
    spent, cycles = (f"sum by (part) (rate(autoscaler_cycle_duration_seconds_{of}[{RATE}]))" for of in ("sum", "count"))
    rows = [
        [
            number("Sessions that wait", "none", "sum(proof_queue_depth)"),
            number("Sessions that run", "none", BUSY),
            number("Workers", "none", "facility:autoscaler_observed_workers:sum"),
            number("No room for", "none", "autoscaler_unplaced_workers", "Workers that are wanted and found no host."),
            number("Hosts in quarantine", "none", "sum(autoscaler_host_quarantined)"),
            number("Age of the newest cycle", "s", "time() - autoscaler_last_cycle_timestamp_seconds"),
        ],
        # Above each other, at full width: what follows from what is seen along one time axis.
        [plot("PROOF sessions", "none", ("sum(proof_queue_depth)", "wait"), (BUSY, "run"), steps=True)],
        [
            plot(
                "Workers",
                "none",
                ('autoscaler_demand_workers{policy="acting"}', "demand"),
                ("facility:autoscaler_wanted_workers:sum", "wanted"),
                ("facility:autoscaler_granted_workers:sum", "granted"),
                ("facility:autoscaler_observed_workers:sum", "there"),
                steps=True,
                text="Demand: of the policy. Wanted: with a host. Granted: after the guards. There: as read back.",
            )
        ],
        [plot("Memory", "bytes", ("facility_role:autoscaler_memory_bytes:sum", "{{role}}"), stacked=True)],
        [
            plot(
                "CPU in use, in cores",
                "none",
                (f"sum by (role) (rate(autoscaler_cpu_seconds_total[{RATE}]))", "{{role}}"),
                stacked=True,
            )
        ],
        [
            states("Workers of each host", ("autoscaler_observed_workers", "{{host}}")),
            plot(
                "Cuts by guard",
                "none",
                (f"sum by (guard) (increase(autoscaler_guard_cuts_total[{RATE}]))", "{{guard}}"),
            ),
        ],
        [
            plot(
                "Transfers by result",
                "none",
                (f"sum by (result) (increase(autoscaler_transfers_total[{RATE}]))", "{{result}}"),
            ),
            plot(
                "How long transfers take",
                "s",
                (f"histogram_quantile(0.5, {quantile})", "median"),
                (f"histogram_quantile(0.95, {quantile})", "95 %"),
            ),
            plot(
                "Annotations",
                "none",
                ("autoscaler_annotations_waiting", "wait for Grafana"),
                (f"sum by (result) (increase(autoscaler_annotations_total[{RATE}]))", "{{result}}"),
                text="Of decisions, where grafana.url is configured.",
            ),
        ],
        [
            plot("Age of signals", "s", ("autoscaler_signal_age_seconds", "{{signal}}")),
            plot(
                "How long cycles take",
                "s",
                (f"{spent} / {cycles}", "{{part}}"),
                stacked=True,
            ),
            plot(
                "Cycles by result",
                "none",
                (f"sum by (result) (increase(autoscaler_cycles_total[{RATE}]))", "{{result}}"),
            ),
            plot("Read from xrootd", "Bps", ("job:xrootd_read_bytes:rate5m", "{{job}}")),
        ],
        [
            plot(
                "The API",
                "none",
                (f"sum by (status) (increase(autoscaler_api_requests_total[{RATE}]))", "{{status}}"),
                text="Answers: 200 done, 202 a session waits, 401 and 403 no good token, 429 and 503 too many.",
            ),
            plot(
                "Alerts and announced sessions",
                "none",
                (f"sum by (result) (increase(autoscaler_alerts_total[{RATE}]))", "alerts {{result}}"),
                (f"sum by (state) (increase(autoscaler_announced_sessions_total[{RATE}]))", "sessions {{state}}"),
                ("autoscaler_tunings", "{{kind}} now"),
            ),
            states(
                "Controllers",
                ("autoscaler_leader", "{{instance}} leads"),
                ("autoscaler_unknown_safe_split", "{{instance}} walks to the safe split"),
                text="1: yes. Of two controllers one leads; signals that are unknown for long lead to the safe split.",
            ),
        ],
    ]
    return dashboard("facility", "VAF: facility", "Queue, workers, memory and CPU of all hosts, with every move.", rows)
