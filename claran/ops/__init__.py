"""The numerical core: pure, jit-able JAX functions with static shapes."""
