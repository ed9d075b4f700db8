//! What stands where in an EROFS file system, as far as we write it.
//!
//! <https://erofs.docs.kernel.org/en/latest/core_ondisk.html>

/// Blocks are those of an archive.
pub(super) const BLOCK: u64 = 512;
const BLOCK_BITS: u8 = 9;

/// Where the superblock is; what is before belongs to boot loaders.
const SUPERBLOCK: usize = 1024;
const MAGIC: u32 = 0xe0f5_e1e2;
/// Times are those of modification.
const COMPAT_MTIME: u32 = 0x2;
/// There are other devices than the one of this file system.
const INCOMPAT_DEVICE_TABLE: u32 = 0x8;

/// The table of the other devices follows the superblock.
const DEVICE_SLOT: usize = 128;
const DEVICE_TABLE: usize = SUPERBLOCK + 128;

/// Inodes are named by where they are, in this unit.
const INODE_SLOT: u64 = 32;
/// What an inode takes in the extended form, which alone has nanoseconds and large owners.
pub(super) const INODE: u64 = 64;

/// What attributes begin with.
const ATTRIBUTES_HEADER: usize = 12;

const DIRECTORY_ENTRY: usize = 12;

/// Another device: the blocks of the file system that it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Device {
    pub(super) first: u32,
    pub(super) blocks: u32,
}

/// Where the first inode is.
pub(super) fn first_inode(devices: usize) -> u64 {
    ((DEVICE_TABLE + devices * DEVICE_SLOT) as u64).next_multiple_of(INODE)
}

/// The number of the inode at `position`.
pub(super) fn number(position: u64) -> u64 {
    position / INODE_SLOT
}

/// The beginning of the file system, up to the first inode.
pub(super) fn head(blocks: u32, inodes: u64, root: u64, devices: &[Device]) -> Vec<u8> {
    let mut bytes = Bytes(vec![0; SUPERBLOCK]);
    bytes.u32(MAGIC);
    bytes.u32(0); // no checksum
    bytes.u32(COMPAT_MTIME);
    bytes.u8(BLOCK_BITS);
    bytes.u8(0); // the superblock has no more slots
    bytes.u16(root as u16); // the first inode, which is near the beginning
    bytes.u64(inodes);
    bytes.u64(0); // times of compact inodes
    bytes.u32(0);
    bytes.u32(blocks);
    bytes.u32(0); // inodes are counted from the first block
    bytes.u32(0); // and so are shared attributes, of which there are none
    bytes.zeros(16 + 16); // identifier and name
    bytes.u32(INCOMPAT_DEVICE_TABLE);
    bytes.u16(0); // no compression
    bytes.u16(devices.len() as u16);
    bytes.u16((DEVICE_TABLE / DEVICE_SLOT) as u16);
    bytes.zeros(DEVICE_TABLE - bytes.0.len());
    for device in devices {
        bytes.zeros(64); // a name
        bytes.u32(device.blocks);
        bytes.u32(device.first);
        bytes.zeros(DEVICE_SLOT - 64 - 8);
    }
    bytes.zeros(first_inode(devices.len()) as usize - bytes.0.len());
    bytes.0
}

/// How the bytes of an inode lie.
#[derive(Debug, Clone, Copy)]
pub(super) enum Layout {
    /// In blocks, from this one on.
    Plain(u32),
    /// After the inode, in the same block.
    Inline,
    /// It has none, but a device number.
    Device(u32),
}

/// An inode as it is written.
pub(super) struct Inode<'a> {
    /// Type and permissions.
    pub(super) mode: u16,
    pub(super) size: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
    pub(super) links: u32,
    pub(super) layout: Layout,
    pub(super) attributes: &'a [u8],
}

impl Inode<'_> {
    pub(super) fn write(&self, position: u64, to: &mut Vec<u8>) {
        let mut bytes = Bytes(std::mem::take(to));
        let extended = 1;
        let (layout, value) = match self.layout {
            Layout::Plain(block) => (0, block),
            Layout::Device(number) => (0, number),
            Layout::Inline => (2, 0),
        };
        bytes.u16(layout << 1 | extended);
        bytes.u16(attribute_units(self.attributes));
        bytes.u16(self.mode);
        bytes.u16(0);
        bytes.u64(self.size);
        bytes.u32(value);
        bytes.u32(number(position) as u32); // for programs of 32 bits
        bytes.u32(self.uid);
        bytes.u32(self.gid);
        bytes.u64(self.seconds.cast_unsigned());
        bytes.u32(self.nanoseconds);
        bytes.u32(self.links);
        bytes.zeros(16);
        bytes.0.extend_from_slice(self.attributes);
        *to = bytes.0;
    }
}

/// The size of attributes, as an inode says it.
fn attribute_units(attributes: &[u8]) -> u16 {
    match attributes.len() {
        0 => 0,
        length => ((length - ATTRIBUTES_HEADER) / 4 + 1) as u16,
    }
}

/// Attributes as they stand after an inode: those whose names EROFS has no number for are left out.
pub(super) fn attributes<'a>(all: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    const PREFIXES: [(&[u8], u8); 5] = [
        (b"user.", 1),
        (b"system.posix_acl_access", 2),
        (b"system.posix_acl_default", 3),
        (b"trusted.", 4),
        (b"security.", 6),
    ];
    let mut bytes = Bytes(Vec::new());
    for (name, value) in all {
        let found = PREFIXES
            .iter()
            .find_map(|(prefix, number)| name.strip_prefix(*prefix).map(|rest| (rest, *number)));
        let Some((rest, number)) = found else { continue };
        if bytes.0.is_empty() {
            bytes.zeros(ATTRIBUTES_HEADER);
        }
        bytes.u8(rest.len() as u8);
        bytes.u8(number);
        bytes.u16(value.len() as u16);
        bytes.0.extend_from_slice(rest);
        bytes.0.extend_from_slice(value);
        bytes.zeros(bytes.0.len().next_multiple_of(4) - bytes.0.len());
    }
    bytes.0
}

/// A number of a device, as the kernel packs it.
pub(super) fn device_number(major: u32, minor: u32) -> u32 {
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}

/// The size of a folder with these names, which are in order.
pub(super) fn directory_size<'a>(names: impl Iterator<Item = &'a [u8]>) -> u64 {
    let (mut full, mut used) = (0, 0);
    for name in names {
        let entry = DIRECTORY_ENTRY + name.len();
        if used + entry > BLOCK as usize {
            full += 1;
            used = 0;
        }
        used += entry;
    }
    full * BLOCK + used as u64
}

/// A name in a folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    pub(super) inode: u64,
    pub(super) kind: u8,
}

/// Writes a folder's names, which are in order: in each block first where they are, and then they
/// themselves.
pub(super) fn write_directory(entries: &[Entry<'_>], to: &mut Vec<u8>) {
    let mut rest = entries;
    while !rest.is_empty() {
        let mut used = 0;
        let fitting = rest.iter().take_while(|entry| {
            used += DIRECTORY_ENTRY + entry.name.len();
            used <= BLOCK as usize
        });
        let (block, after) = rest.split_at(fitting.count());
        write_block(block, to);
        rest = after;
        if !rest.is_empty() {
            let size: usize = block.iter().map(|entry| DIRECTORY_ENTRY + entry.name.len()).sum();
            to.resize(to.len() + BLOCK as usize - size, 0);
        }
    }
}

fn write_block(entries: &[Entry<'_>], to: &mut Vec<u8>) {
    let mut bytes = Bytes(std::mem::take(to));
    let mut name_at = entries.len() * DIRECTORY_ENTRY;
    for entry in entries {
        bytes.u64(entry.inode);
        bytes.u16(name_at as u16);
        bytes.u8(entry.kind);
        bytes.u8(0);
        name_at += entry.name.len();
    }
    for entry in entries {
        bytes.0.extend_from_slice(entry.name);
    }
    *to = bytes.0;
}

/// Numbers with their lowest byte first.
struct Bytes(Vec<u8>);

impl Bytes {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn zeros(&mut self, count: usize) {
        self.0.resize(self.0.len() + count, 0);
    }
}
