//! Containers: what is known of each, its monitor, and all that is done with it.
