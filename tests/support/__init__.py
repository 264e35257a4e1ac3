"""What several suites need: waiting for conditions, Helm used directly, the service as a process."""
