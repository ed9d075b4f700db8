//! The tables as both engines have them.

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row: the values of its table's columns, in their order.
pub(super) type Row = Vec<Value>;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    Bytes,
}

/// A table whose rows are copied.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
    /// How many of the first columns are the primary key.
    pub(super) key: usize,
    /// The columns, by their places, that tell what a row of that key is about: when one of them
    /// differs it is another row, with a key that was used again.
    pub(super) subject: &'static [usize],
    /// A column that is too large to be read when rows are compared. It follows from the others.
    pub(super) payload: Option<&'static str>,
    /// The schema of an embedded database that first has it.
    pub(super) since: i64,
    /// Tables whose rows go with a row of this one, with the column that refers to its key.
    pub(super) dependents: &'static [(&'static str, &'static str)],
}

use Kind::{Bytes, Integer, Text};

/// A table as most are: its key tells all of a row, which is small and goes with nothing.
const PLAIN: Table = Table {
    name: "",
    columns: &[],
    key: 1,
    subject: &[],
    payload: None,
    since: 1,
    dependents: &[],
};

/// All tables, those that others refer to first. Of columns that follow from others, or that are good
/// without, the defaults are.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "repositories",
        columns: &[("id", Integer), ("name", Text)],
        key: 1,
        subject: &[1],
        since: 1,
        ..PLAIN
    },
    Table {
        name: "blobs",
        columns: &[
            ("id", Integer),
            ("digest", Bytes),
            ("size", Integer),
            ("created_at", Integer),
            ("location", Text),
        ],
        key: 1,
        subject: &[1],
        since: 1,
        dependents: &[("repository_blobs", "blob_id")],
        ..PLAIN
    },
    Table {
        name: "damaged_blobs",
        columns: &[("blob_id", Integer), ("found_at", Integer), ("reason", Text)],
        key: 1,
        since: 11,
        ..PLAIN
    },
    Table {
        name: "repository_blobs",
        columns: &[
            ("repository_id", Integer),
            ("blob_id", Integer),
            ("linked_at", Integer),
            ("leased_until", Integer),
        ],
        key: 2,
        since: 1,
        ..PLAIN
    },
    Table {
        name: "manifests",
        columns: &[
            ("id", Integer),
            ("repository_id", Integer),
            ("digest", Bytes),
            ("media_type", Text),
            ("artifact_type", Text),
            ("subject", Bytes),
            ("created_at", Integer),
            ("annotations", Text),
        ],
        key: 1,
        subject: &[1, 2],
        payload: Some("payload"),
        since: 1,
        dependents: &[("tags", "manifest_id")],
    },
    Table {
        name: "manifest_blobs",
        columns: &[("manifest_id", Integer), ("digest", Bytes)],
        key: 2,
        since: 1,
        ..PLAIN
    },
    Table {
        name: "manifest_manifests",
        columns: &[("manifest_id", Integer), ("digest", Bytes)],
        key: 2,
        since: 1,
        ..PLAIN
    },
    Table {
        name: "tags",
        columns: &[
            ("repository_id", Integer),
            ("name", Text),
            ("manifest_id", Integer),
            ("updated_at", Integer),
        ],
        key: 2,
        since: 1,
        ..PLAIN
    },
    Table {
        name: "uploads",
        columns: &[
            ("id", Bytes),
            ("repository", Text),
            ("algorithm", Integer),
            ("received", Integer),
            ("started_at", Integer),
            ("updated_at", Integer),
            ("hash_state", Bytes),
            ("handle", Text),
        ],
        key: 1,
        since: 1,
        ..PLAIN
    },
    Table {
        name: "events",
        columns: &[
            ("id", Integer),
            ("endpoint", Text),
            ("uuid", Bytes),
            ("happened_at", Integer),
            ("action", Text),
            ("repository", Text),
            ("digest", Bytes),
            ("tag", Text),
            ("media_type", Text),
            ("size", Integer),
            ("from_repository", Text),
            ("descriptors", Text),
            ("origin", Text),
        ],
        key: 1,
        since: 5,
        ..PLAIN
    },
    Table {
        name: "deletions",
        columns: &[
            ("id", Integer),
            ("repository", Text),
            ("digest", Bytes),
            ("tag", Text),
            ("deleted_at", Integer),
            ("until", Integer),
            ("open", Integer),
        ],
        key: 1,
        subject: &[1, 2, 3],
        since: 6,
        ..PLAIN
    },
    Table {
        name: "deleted_manifests",
        columns: &[
            ("id", Integer),
            ("deletion_id", Integer),
            ("repository", Text),
            ("digest", Bytes),
            ("media_type", Text),
            ("artifact_type", Text),
            ("subject", Bytes),
            ("created_at", Integer),
            ("annotations", Text),
            ("blobs", Text),
            ("manifests", Text),
        ],
        key: 1,
        subject: &[1, 3],
        payload: Some("payload"),
        since: 6,
        ..PLAIN
    },
    Table {
        name: "deleted_tags",
        columns: &[
            ("deletion_id", Integer),
            ("digest", Bytes),
            ("name", Text),
            ("repository", Text),
        ],
        key: 3,
        since: 6,
        ..PLAIN
    },
    Table {
        name: "deleted_subjects",
        columns: &[("deletion_id", Integer), ("digest", Bytes)],
        key: 2,
        since: 6,
        ..PLAIN
    },
    Table {
        name: "deleted_repositories",
        columns: &[("repository_id", Integer), ("since", Integer)],
        key: 1,
        since: 6,
        ..PLAIN
    },
    Table {
        name: "outbox",
        columns: &[
            ("id", Integer),
            ("kind", Text),
            ("repository", Text),
            ("digest", Bytes),
            ("tag", Text),
        ],
        key: 1,
        since: 1,
        ..PLAIN
    },
    Table {
        name: "garbage",
        columns: &[
            ("id", Integer),
            ("digest", Bytes),
            ("size", Integer),
            ("remove_at", Integer),
            ("round", Integer),
            ("held_until", Integer),
            ("gone", Integer),
            ("location", Text),
        ],
        key: 1,
        subject: &[1, 7],
        since: 4,
        ..PLAIN
    },
    Table {
        name: "manifest_times",
        columns: &[("manifest_id", Integer), ("untagged_at", Integer), ("pulled_at", Integer)],
        key: 1,
        since: 7,
        ..PLAIN
    },
    Table {
        name: "mirrored_tags",
        columns: &[
            ("repository_id", Integer),
            ("name", Text),
            ("digest", Bytes),
            ("checked_at", Integer),
            ("upstream", Text),
        ],
        key: 2,
        since: 10,
        ..PLAIN
    },
    Table {
        name: "cached_manifests",
        columns: &[("manifest_id", Integer), ("prefix", Text), ("pulled_at", Integer)],
        key: 1,
        since: 12,
        ..PLAIN
    },
    Table {
        name: "accounts",
        columns: &[
            ("name", Text),
            ("kind", Text),
            ("owner", Text),
            ("is_admin", Integer),
            ("is_disabled", Integer),
            ("password", Text),
            ("description", Text),
            ("expires_at", Integer),
            ("tokens_valid_from", Integer),
            ("created_at", Integer),
        ],
        key: 1,
        since: 9,
        ..PLAIN
    },
    Table {
        name: "organisation_members",
        columns: &[("organisation", Text), ("member", Text), ("role", Text)],
        key: 2,
        since: 9,
        ..PLAIN
    },
    Table {
        name: "teams",
        columns: &[("name", Text), ("organisation", Text)],
        key: 1,
        since: 9,
        ..PLAIN
    },
    Table {
        name: "team_members",
        columns: &[("team", Text), ("member", Text), ("organisation", Text)],
        key: 2,
        since: 9,
        ..PLAIN
    },
    Table {
        name: "grants",
        columns: &[
            ("id", Integer),
            ("effect", Text),
            ("subject", Text),
            ("role", Text),
            ("pattern", Text),
            ("namespace", Text),
            ("granted_by", Text),
            ("created_at", Integer),
            ("account", Text),
            ("team", Text),
        ],
        key: 1,
        subject: &[1, 2, 3, 4],
        since: 9,
        ..PLAIN
    },
    Table {
        name: "access_tokens",
        columns: &[
            ("id", Integer),
            ("account", Text),
            ("name", Text),
            ("hash", Bytes),
            ("role", Text),
            ("pattern", Text),
            ("expires_at", Integer),
            ("created_at", Integer),
            ("used_at", Integer),
        ],
        key: 1,
        subject: &[1, 2],
        since: 9,
        ..PLAIN
    },
    Table {
        name: "logins",
        columns: &[
            ("id", Integer),
            ("subject", Text),
            ("account", Text),
            ("access_token", Integer),
            ("client", Text),
            ("details", Text),
            ("expires_at", Integer),
        ],
        key: 1,
        since: 9,
        ..PLAIN
    },
    Table {
        name: "refresh_tokens",
        columns: &[
            ("hash", Bytes),
            ("login_id", Integer),
            ("created_at", Integer),
            ("exchanged", Integer),
        ],
        key: 1,
        since: 9,
        ..PLAIN
    },
    Table {
        name: "signing_keys",
        columns: &[
            ("number", Integer),
            ("id", Text),
            ("private_key", Bytes),
            ("created_at", Integer),
        ],
        key: 1,
        subject: &[1],
        since: 9,
        ..PLAIN
    },
    Table {
        name: "policy",
        columns: &[("id", Integer), ("generation", Integer)],
        key: 1,
        since: 9,
        ..PLAIN
    },
    Table {
        name: "audit",
        columns: &[
            ("id", Integer),
            ("happened_at", Integer),
            ("actor", Text),
            ("action", Text),
            ("target", Text),
            ("reference", Text),
            ("digest", Text),
            ("source", Text),
            ("outcome", Text),
            ("detail", Text),
            ("request", Text),
        ],
        key: 1,
        since: 9,
        ..PLAIN
    },
];

impl Table {
    pub(super) fn key_of<'r>(&self, row: &'r [Value]) -> &'r [Value] {
        &row[..self.key]
    }

    /// Whether two rows of one key are about the same.
    pub(super) fn same_subject(&self, one: &[Value], other: &[Value]) -> bool {
        self.subject.iter().all(|place| one[*place] == other[*place])
    }

    /// The names of the columns, the payload's last if it is asked for.
    fn names(&self, with_payload: bool) -> Vec<&'static str> {
        let names = self.columns.iter().map(|(name, _)| *name);
        names.chain(self.payload.filter(|_| with_payload)).collect()
    }

    /// The columns of a row that comes with its payload.
    pub(super) fn kinds(&self, with_payload: bool) -> Vec<Kind> {
        let kinds = self.columns.iter().map(|(_, kind)| *kind);
        kinds.chain(self.payload.filter(|_| with_payload).map(|_| Bytes)).collect()
    }

    /// Reads rows in the order of their keys: the first ones, or those behind a key, which is
    /// `$2` and on.
    pub(super) fn select(&self, behind: bool) -> String {
        let (name, columns, keys) =
            (self.name, self.names(false).join(", "), self.names(false)[..self.key].join(", "));
        let marks: Vec<String> = (0..self.key).map(|place| format!("${}", place + 2)).collect();
        let behind = match behind {
            true => format!("WHERE ({keys}) > ({})", marks.join(", ")),
            false => String::new(),
        };
        format!("SELECT {columns} FROM {name} {behind} ORDER BY {keys} LIMIT $1")
    }

    /// Reads the payload of the row with the key `$1`.
    pub(super) fn select_payload(&self) -> Option<String> {
        let payload = self.payload?;
        Some(format!("SELECT {payload} FROM {} WHERE {} = $1", self.name, self.columns[0].0))
    }

    /// Writes a row over the one of the same key, with `values` for the source of rows.
    pub(super) fn upsert(&self, values: &str) -> String {
        let names = self.names(true);
        let set: Vec<String> =
            names[self.key..].iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let action = match set.is_empty() {
            true => "NOTHING".to_owned(),
            false => format!("UPDATE SET {}", set.join(", ")),
        };
        format!(
            "INSERT INTO {} ({}) {values} ON CONFLICT ({}) DO {action}",
            self.name,
            names.join(", "),
            names[..self.key].join(", "),
        )
    }

    /// Deletes the row of a key, `$1` and on.
    pub(super) fn delete(&self) -> String {
        let keys = self.names(false)[..self.key].join(", ");
        let marks: Vec<String> = (1..=self.key).map(|place| format!("${place}")).collect();
        format!("DELETE FROM {} WHERE ({keys}) = ({})", self.name, marks.join(", "))
    }

    /// Deletes what refers to the row of a key `$1`.
    pub(super) fn delete_dependents(&self) -> Vec<String> {
        let delete =
            |(table, column): &(&str, &str)| format!("DELETE FROM {table} WHERE {column} = $1");
        self.dependents.iter().map(delete).collect()
    }
}
