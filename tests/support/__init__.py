"""What tests, tools and benchmarks share; none of it is shipped."""
