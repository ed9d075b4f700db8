//! Layers of images: kept ready to be mounted, and mounted as the root of a container.
