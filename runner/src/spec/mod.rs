//! From the words of `docker run` to the configuration of an OCI runtime.
