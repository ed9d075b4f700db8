//! Images: their names, manifests and configurations, and how they come and go.
