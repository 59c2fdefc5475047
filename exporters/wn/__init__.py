"""Worker Nodes: their jobs as the batch system sees them, and their domains as the hypervisor does."""
