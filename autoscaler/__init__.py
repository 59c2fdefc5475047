"""Load-adaptive autoscaling controller for a Virtual Analysis Facility."""
