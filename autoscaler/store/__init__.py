"""What survives a restart: decisions with their outcomes, timers, and what each domain was asked for."""
