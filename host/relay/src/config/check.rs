//! Opens what a configuration names, before anything depends on it.
