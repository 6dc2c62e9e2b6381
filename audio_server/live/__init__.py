"""Live channels beyond one process: their packets in workers, and their recordings."""
