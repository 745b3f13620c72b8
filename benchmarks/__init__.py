"""What is claimed to be fast, measured: `python -m benchmarks`. Every answer is compared before it is timed."""
