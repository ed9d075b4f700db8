use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::TryStreamExt;
use http::Request;
use object_store::client::HttpRequestBody;

use super::rest::{Anonymous, Rest, unanswered};
use super::upload::Parts;
use super::{ObjectError, Objects, failed, keys};
use crate::StoreError;
use crate::transport::Transport;

/// What the probe writes where a part must have a smallest size.
const FILLER: u8 = b'b';

/// What the probe writes else.
const CONTENT: &[u8] = b"0123456789";

/// What it tells when nobody is sent to the store.
const NOT_SENT: &str = "readers are not sent to the store; bytes pass through berth";

/// Tries in a folder of its own what the driver needs of the store, and tells what it found. What
/// it wrote is deleted again. Readers, if they are sent to the store, connect to it like this.
///
/// # Errors
/// What the driver cannot do without.
pub(super) async fn probe(
    objects: &dyn Objects,
    cut: Parts,
    readers: Option<&Transport>,
) -> Result<Vec<String>, StoreError> {
    let key = keys::check();
    let found = [
        objects_themselves(objects, &key).await?,
        condition(objects, &key).await?,
        listing(objects, &key).await?,
        order(objects, &key).await?,
        parts(objects, &format!("{key}.parts"), cut).await?,
        unfinished(objects, &format!("{key}.left")).await?,
        addresses(objects, &key, readers).await?,
        deletion(objects, &key).await?,
    ];
    Ok(found.into_iter().collect())
}

async fn objects_themselves(objects: &dyn Objects, key: &str) -> Result<String, StoreError> {
    first_put(objects, key, CONTENT).await?;
    for (range, expected) in [(0..10, CONTENT), (3..5, b"34"), (9..10, b"9")] {
        if read(objects, key, range.clone()).await? != expected {
            return Err(wrong(format!("bytes {range:?} of an object are not what was written")));
        }
    }
    Ok("objects can be written, and read whole and in part".to_owned())
}

/// Writes an object where perhaps nothing can be written.
pub(super) async fn first_put(
    objects: &dyn Objects,
    key: &str,
    content: &'static [u8],
) -> Result<(), StoreError> {
    match objects.put(key, vec![Bytes::from_static(content)]).await {
        Err(ObjectError::NotFound(words)) => Err(StoreError::NoContainer(words)),
        other => Ok(other?),
    }
}

/// No two writers of blobs share a key. Those of the journal do, if there are several; but an operator who has
/// one replica needs none of this.
async fn condition(objects: &dyn Objects, key: &str) -> Result<String, StoreError> {
    Ok(match objects.put_new(key, vec![Bytes::from_static(b"second")]).await {
        Err(ObjectError::Exists(_)) => {
            "an object is not written over where that is forbidden".to_owned()
        }
        Ok(()) => {
            first_put(objects, key, CONTENT).await?;
            "objects are written over even where that is forbidden, which only the journals \
             of several replicas rely on"
                .to_owned()
        }
        Err(error) => {
            format!(
                "writing only where no object is does not work, which only the journals of \
                 several replicas need ({error})"
            )
        }
    })
}

async fn order(objects: &dyn Objects, key: &str) -> Result<String, StoreError> {
    let others = [format!("{key}.2"), format!("{key}.1")];
    for other in &others {
        first_put(objects, other, CONTENT).await?;
    }
    let listed: Result<Vec<_>, _> = objects.list(keys::CHECKS).try_collect().await;
    for other in &others {
        objects.delete(other).await?;
    }
    let listed: Vec<String> = listed?.into_iter().map(|listed| listed.key).collect();
    Ok(match listed.is_sorted() {
        true => "and all of them in the order of their keys",
        false => "but not in the order of their keys, which berth does not rely on",
    }
    .to_owned())
}

async fn listing(objects: &dyn Objects, key: &str) -> Result<String, StoreError> {
    let listed: Vec<_> = objects.list(keys::CHECKS).try_collect().await?;
    Ok(match listed.iter().find(|listed| listed.key == key) {
        Some(listed) if listed.size == CONTENT.len() as u64 => "a listing shows them at once",
        Some(_) => return Err(wrong("a listing tells the wrong size".to_owned())),
        None => "a listing shows them late: what a crash leaves is found later",
    }
    .to_owned())
}

async fn parts(objects: &dyn Objects, key: &str, cut: Parts) -> Result<String, StoreError> {
    let (first, last) = (Bytes::from(vec![FILLER; cut.smallest]), Bytes::from_static(b"last"));
    let id = objects.begin_parts(key).await?;
    // In another order than they stand in, as they may arrive.
    let end = objects.put_part(key, &id, 1, vec![last]).await?;
    let begin = objects.put_part(key, &id, 0, vec![first]).await?;
    objects.complete_parts(key, &id, vec![begin, end]).await?;
    let size = cut.smallest as u64;
    if objects.size(key).await? != size + 4
        || read(objects, key, size - 1..size + 4).await? != b"blast"
    {
        return Err(wrong("an object of two parts is not what was written".to_owned()));
    }
    objects.delete(key).await?;
    Ok(format!("uploads in parts of {} bytes and more work", cut.smallest))
}

async fn unfinished(objects: &dyn Objects, key: &str) -> Result<String, StoreError> {
    let id = objects.begin_parts(key).await?;
    let found = objects.unfinished(keys::CHECKS).await;
    objects.abort_parts(key, &id).await?;
    Ok(match found {
        Ok(found) if found.iter().any(|one| one.key == key) => {
            "uploads that nobody ends are found".to_owned()
        }
        Ok(_) => "uploads that nobody ends are left to the store's own rules".to_owned(),
        Err(error) => {
            format!("uploads that nobody ends cannot be listed, so they stay ({error})")
        }
    })
}

async fn addresses(
    objects: &dyn Objects,
    key: &str,
    readers: Option<&Transport>,
) -> Result<String, StoreError> {
    let Some(transport) = readers else { return Ok(NOT_SENT.to_owned()) };
    Ok(match objects.presign(key, Duration::from_secs(60)).await {
        Ok(Some(address)) => match visit(&address, transport).await {
            Ok(content) if content == CONTENT => "readers can be sent to the store".to_owned(),
            Ok(_) => {
                return Err(wrong("an address for readers does not lead to the object".to_owned()));
            }
            Err(error) => format!(
                "readers are sent to addresses that cannot be read from here: if they cannot read them either, set storage.redirect.disable ({error})"
            ),
        },
        Ok(None) => NOT_SENT.to_owned(),
        Err(error) => {
            let reason = "readers cannot be sent to the store: set storage.redirect.disable";
            return Err(wrong(format!("{reason} ({error})")));
        }
    })
}

async fn deletion(objects: &dyn Objects, key: &str) -> Result<String, StoreError> {
    objects.delete(key).await?;
    match objects.size(key).await {
        Err(ObjectError::NotFound(_)) => Ok("objects can be deleted".to_owned()),
        Ok(_) => Err(wrong("an object is there after it was deleted".to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// What a reader gets who is sent to an address.
async fn visit(address: &str, transport: &Transport) -> Result<Bytes, ObjectError> {
    let reader = Rest::new(Anonymous, transport).map_err(failed)?;
    let request = Request::get(address).body(HttpRequestBody::empty()).map_err(failed)?;
    let answer = reader.send(request).await?;
    answer.into_body().bytes().await.map_err(unanswered)
}

async fn read(
    objects: &dyn Objects,
    key: &str,
    range: std::ops::Range<u64>,
) -> Result<Vec<u8>, ObjectError> {
    let chunks: Vec<Bytes> = objects.get(key, range).await?.try_collect().await?;
    Ok(chunks.concat())
}

fn wrong(what: String) -> StoreError {
    StoreError::Io(std::io::Error::other(what))
}
