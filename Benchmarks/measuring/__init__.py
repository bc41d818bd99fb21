"""What the benchmarks share: a PostgreSQL of their own, the kernel's figures of a process, a receiver, and programs."""
