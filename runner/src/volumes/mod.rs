//! Volumes: folders that outlive containers.
