"""The dashboard of the policies."""

from panels.parts import Panel, dashboard, plot, states


def policy() -> Panel:
    """How well the policies do, the learned ones above all."""
    rows = [
        [
            plot("What each policy wants, in workers", "none", ("autoscaler_demand_workers", "{{policy}}"), steps=True),
            plot("Sessions that wait", "none", ("sum(proof_queue_depth)", "wait"), steps=True),
        ],
        [
            plot(
                "Forecast and what came, in sessions",
                "none",
                ("autoscaler_forecast_judged_sessions", "{{policy}}: forecast, upper end"),
                ("autoscaler_forecast_realised_sessions", "{{policy}}: came"),
                text="Forecasts whose time is over.",
            ),
            plot(
                "The newest forecast, in sessions",
                "none",
                ("autoscaler_forecast_low_sessions", "{{policy}}: lower end"),
                ("autoscaler_forecast_high_sessions", "{{policy}}: upper end"),
            ),
        ],
        [
            plot(
                "Arrivals that the forecast had reached",
                "percentunit",
                ("autoscaler_forecast_coverage_ratio", "{{policy}}"),
                ("autoscaler_forecast_coverage_target_ratio", "{{policy}}: aim"),
            ),
            plot(
                "Pinball loss, in sessions",
                "none",
                ("autoscaler_forecast_pinball_loss_sessions", "{{policy}}: {{of}}"),
                text="A forecast that is worth something is below persistence (nothing changes).",
            ),
        ],
        [
            states("The forecast has a say", ("autoscaler_forecast_in_charge", "{{policy}}")),
            states("Why it has none", ("autoscaler_forecast_doubt", "{{policy}}: {{reason}}")),
            states("The policy raises", ("autoscaler_policy_failed", "{{policy}}")),
            states("Nights in a row without a new model", ("autoscaler_refit_failures", "nights")),
        ],
    ]
    text = "What each policy wants, and how well a learned one has forecast."
    return dashboard("policy", "VAF: policy quality", text, rows)
