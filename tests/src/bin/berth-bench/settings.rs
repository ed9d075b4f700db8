use std::time::Duration;

pub(crate) const KIB: u64 = 1 << 10;
pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;

/// How much of everything.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Rounds over all peers.
    pub(crate) rounds: usize,
    /// Connections that ask for manifests, and that push small blobs.
    pub(crate) connections: usize,
    /// How long manifests are asked for, each time.
    pub(crate) manifest_time: Duration,
    /// The large blob.
    pub(crate) blob: u64,
    /// Rounds of pulls of the large blob. One may go twice as fast as another of the same server, so few rounds say
    /// little.
    pub(crate) blob_rounds: usize,
    /// Connections that pull the large blob, and the bytes that they move together.
    pub(crate) pulls: [(usize, u64); 3],
    /// The same over TLS, where no connection gets more than the blob once.
    pub(crate) tls_pulls: [(usize, u64); 2],
    /// Small blobs of a round.
    pub(crate) small_blobs: usize,
    /// The size of each.
    pub(crate) small_blob: u64,
    /// Rounds of the memory row.
    pub(crate) memory_rounds: usize,
    /// Before the memory of an idle server is read.
    pub(crate) idle: Duration,
    /// Transfers at a time.
    pub(crate) transfers: usize,
    /// How long all of them go on.
    pub(crate) transfer_time: Duration,
    /// The most that all pushes of a measurement put on the disk.
    pub(crate) transfer_disk: u64,
    /// The tags of a small and of a large registry.
    pub(crate) tags: [u32; 2],
    /// Tags of a repository where there are many repositories.
    pub(crate) tags_each: u32,
    /// How long manifests are asked for in the growth row, each time.
    pub(crate) growth_time: Duration,
    /// Turns of each registry in the growth row.
    pub(crate) growth_rounds: usize,
    /// Listings of a turn.
    pub(crate) listings: usize,
    /// The blobs of a registry that garbage is collected in.
    pub(crate) collected_blobs: u32,
    /// Objects that are deleted from an S3 server.
    pub(crate) objects: usize,
    /// The clients of a mirror that want one image at the same time, its layers, and the size of each.
    pub(crate) mirror_clients: usize,
    pub(crate) mirror_layers: usize,
    pub(crate) mirror_layer: u64,
    /// Bytes a second of the line to its upstream.
    pub(crate) mirror_line: u64,
    /// The manifests of a tree that is moved in, and how often that is done.
    pub(crate) imported_manifests: u32,
    pub(crate) import_rounds: usize,
    /// Blobs that are read again, and the size of each.
    pub(crate) scrubbed_blobs: usize,
    pub(crate) scrubbed_blob: u64,
    /// Starts of each kind.
    pub(crate) starts: usize,
    /// Rounds of a command that runs a container.
    pub(crate) container_rounds: usize,
    /// Rounds of the pull of an image.
    pub(crate) pull_rounds: usize,
    /// The files of that image.
    pub(crate) files: usize,
    /// Containers that are idle at the same time.
    pub(crate) idle_containers: usize,
    /// The most that stands on the disk at any time, prepared databases included.
    pub(crate) disk: u64,
}

impl Settings {
    /// Those of the published page.
    pub(crate) fn full() -> Self {
        Self {
            rounds: 5,
            connections: 32,
            manifest_time: Duration::from_secs(5),
            blob: GIB,
            blob_rounds: 15,
            pulls: [(1, 2 * GIB), (8, 8 * GIB), (64, 8 * GIB)],
            tls_pulls: [(1, GIB), (16, 8 * GIB)],
            small_blobs: 2_000,
            small_blob: 4 * KIB,
            memory_rounds: 1,
            idle: Duration::from_secs(5),
            transfers: 200,
            transfer_time: Duration::from_secs(32),
            transfer_disk: 12 * GIB,
            tags: [1_000, 1_000_000],
            tags_each: 10,
            growth_time: Duration::from_secs(1),
            growth_rounds: 15,
            listings: 200,
            collected_blobs: 1_000_000,
            objects: 10_000,
            mirror_clients: 200,
            mirror_layers: 3,
            mirror_layer: 300 * MIB,
            mirror_line: 10 * MIB,
            imported_manifests: 100_000,
            import_rounds: 3,
            scrubbed_blobs: 64,
            scrubbed_blob: 64 * MIB,
            starts: 10,
            container_rounds: 40,
            pull_rounds: 5,
            files: 28_000,
            idle_containers: 200,
            disk: 24 * GIB,
        }
    }

    /// Those that show in a few minutes that everything works.
    pub(crate) fn quick() -> Self {
        Self {
            rounds: 1,
            manifest_time: Duration::from_secs(1),
            blob: 64 * MIB,
            blob_rounds: 1,
            pulls: [(1, 256 * MIB), (8, 512 * MIB), (64, GIB)],
            tls_pulls: [(1, 64 * MIB), (16, 512 * MIB)],
            small_blobs: 200,
            idle: Duration::from_secs(2),
            transfer_time: Duration::from_secs(2),
            transfer_disk: GIB,
            tags: [1_000, 20_000],
            growth_time: Duration::from_secs(1),
            growth_rounds: 1,
            listings: 50,
            collected_blobs: 20_000,
            objects: 1_000,
            mirror_clients: 20,
            mirror_layers: 2,
            mirror_layer: 8 * MIB,
            mirror_line: 4 * MIB,
            imported_manifests: 2_000,
            import_rounds: 1,
            scrubbed_blobs: 8,
            scrubbed_blob: 8 * MIB,
            starts: 3,
            container_rounds: 3,
            pull_rounds: 1,
            files: 1_200,
            idle_containers: 20,
            disk: 4 * GIB,
            ..Self::full()
        }
    }
}
