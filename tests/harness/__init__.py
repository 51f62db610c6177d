"""What the end-to-end tests, the demo and the benchmarks share: servers, load, /proc, dumps, our binaries."""
