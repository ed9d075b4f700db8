//! Lists of objects and of uploads.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::SystemTime;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Query;
use super::answer::{Refusal, escape};
use super::dialect::Dialect;
use super::objects::{Objects, Upload};

const MOST: usize = 1000;

/// `ListBucketResult`, of version 2 with `list-type=2`, else of version 1.
pub(super) fn objects(
    bucket: &str,
    objects: &Objects,
    dialect: Dialect,
    query: &Query,
) -> Result<String, Refusal> {
    let second = query.get("list-type") == Some("2");
    let (prefix, delimiter) = (query.text("prefix"), query.text("delimiter"));
    let most = query.get("max-keys").map_or(Ok(MOST), str::parse);
    let most = most.map_err(|_| Refusal::invalid("max-keys is no number"))?.min(MOST);
    let after = match (second, query.get("continuation-token")) {
        (true, Some(token)) => token,
        (true, None) => query.text("start-after"),
        (false, _) => query.text("marker"),
    };
    let name = |key: &str| match query.get("encoding-type") {
        Some("url") => utf8_percent_encode(key, NON_ALPHANUMERIC).to_string(),
        _ => escape(key),
    };

    let mut contents = String::new();
    let mut folders = BTreeSet::new();
    let (mut count, mut last, mut truncated) = (0, "", false);
    let from = (Bound::Excluded(after), Bound::Unbounded);
    for (key, object) in objects.objects.range::<str, _>(from) {
        let Some(rest) = key.strip_prefix(prefix) else {
            if key.as_str() > prefix {
                break;
            }
            continue;
        };
        let folder = Some(delimiter).filter(|delimiter| !delimiter.is_empty());
        let folder = folder.and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()));
        let folder = folder.map(|end| &key[..prefix.len() + end]);
        // A token or marker that is a folder stands for all in it.
        if folder.is_some_and(|folder| after.starts_with(folder) || folders.contains(folder)) {
            last = key;
            continue;
        }
        if count == most {
            truncated = true;
            break;
        }
        (count, last) = (count + 1, key);
        if let Some(folder) = folder {
            folders.insert(folder);
            continue;
        }
        let (size, etag, modified) = (object.size, &object.etag, time(object.modified));
        let generation = match dialect {
            Dialect::Gcs => format!("<Generation>{}</Generation>", object.generation),
            Dialect::Oss => "<Type>Normal</Type>".to_owned(),
        };
        contents.push_str(&format!(
            "<Contents><Key>{}</Key>{generation}<LastModified>{modified}</LastModified><ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            name(key)
        ));
    }
    let folders: String = folders
        .into_iter()
        .map(|folder| format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", name(folder)))
        .collect();
    let next = match (truncated, second) {
        (false, _) => String::new(),
        (true, true) => format!("<NextContinuationToken>{}</NextContinuationToken>", escape(last)),
        (true, false) => format!("<NextMarker>{}</NextMarker>", name(last)),
    };
    Ok(format!(
        "<ListBucketResult><Name>{bucket}</Name><Prefix>{}</Prefix><KeyCount>{count}</KeyCount><MaxKeys>{most}</MaxKeys><IsTruncated>{truncated}</IsTruncated>{next}{contents}{folders}</ListBucketResult>",
        name(prefix)
    ))
}

/// `ListMultipartUploadsResult`: by key, then by id; all that follow the markers, in pages.
pub(super) fn uploads(bucket: &str, objects: &Objects, query: &Query) -> Result<String, Refusal> {
    let prefix = query.text("prefix");
    let most = query.get("max-uploads").map_or(Ok(MOST), str::parse);
    let most = most.map_err(|_| Refusal::invalid("max-uploads is no number"))?.min(MOST);
    let after = (query.text("key-marker"), query.text("upload-id-marker"));
    // Without an id the key marker excludes all uploads of its key.
    let is_after = |id: &str, upload: &Upload| match after {
        ("", _) => true,
        (key, "") => upload.key.as_str() > key,
        (key, marker) => (upload.key.as_str(), id) > (key, marker),
    };
    let mut listed: Vec<_> = objects
        .uploads
        .iter()
        .filter(|(id, upload)| upload.key.starts_with(prefix) && is_after(id, upload))
        .collect();
    listed.sort_by_key(|(id, upload)| (&upload.key, *id));
    let truncated = listed.len() > most;
    listed.truncate(most);
    let next = listed.last().filter(|_| truncated).map_or_else(String::new, |(id, upload)| {
        format!(
            "<NextKeyMarker>{}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>",
            escape(&upload.key)
        )
    });
    let listed: String = listed
        .into_iter()
        .map(|(id, upload)| {
            format!(
                "<Upload><Key>{}</Key><UploadId>{id}</UploadId><StorageClass>STANDARD</StorageClass><Initiated>{}</Initiated></Upload>",
                escape(&upload.key),
                time(upload.initiated)
            )
        })
        .collect();
    Ok(format!(
        "<ListMultipartUploadsResult><Bucket>{bucket}</Bucket><MaxUploads>{most}</MaxUploads><IsTruncated>{truncated}</IsTruncated>{next}{listed}</ListMultipartUploadsResult>"
    ))
}

/// `ListPartsResult`, in one page.
pub(super) fn parts(bucket: &str, id: &str, upload: &Upload) -> String {
    let parts: String = upload
        .parts
        .iter()
        .map(|(number, part)| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Part>",
                part.etag,
                part.data.len()
            )
        })
        .collect();
    format!(
        "<ListPartsResult><Bucket>{bucket}</Bucket><Key>{}</Key><UploadId>{id}</UploadId><IsTruncated>false</IsTruncated>{parts}</ListPartsResult>",
        escape(&upload.key)
    )
}

/// A time as these documents have it.
fn time(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
