use std::time::{Duration, SystemTime};

use berth_metadata::{HeldUpload, UploadProgress};
use berth_oci::{Algorithm, Hasher, UploadId};
use tokio::task::JoinSet;

use super::fixtures::*;

pub async fn an_opened_session_is_read_back(store: Store) {
    let mut opened = new_upload("team/app");
    opened.algorithm = Algorithm::Sha512;
    opened.hash_state = Hasher::new(Algorithm::Sha512).save();
    let before = SystemTime::now() - Duration::from_secs(1);
    store.create_upload(opened.clone()).await.unwrap();

    let read = store.upload(&opened.repository, opened.id).await.unwrap().unwrap();

    assert_eq!(read.id, opened.id);
    assert_eq!(read.repository, opened.repository);
    assert_eq!(read.algorithm, opened.algorithm);
    assert_eq!(read.offset, 0);
    assert_eq!(read.hash_state, opened.hash_state);
    assert_eq!(read.handle, opened.handle);
    assert_eq!(read.started_at, read.updated_at);
    assert!(read.started_at > before);
    assert_eq!(store.upload(&repository("other"), opened.id).await.unwrap(), None);
    assert!(store.upload_exists(opened.id).await.unwrap());
    assert!(!store.upload_exists(UploadId::random()).await.unwrap());
}

pub async fn a_session_moves_only_from_where_it_stands(store: Store) {
    let opened = new_upload("app");
    store.create_upload(opened.clone()).await.unwrap();
    let step = |from_offset, offset, handle: &str| UploadProgress {
        id: opened.id,
        from_offset,
        offset,
        hash_state: format!("state at {offset}").into_bytes(),
        handle: handle.to_owned(),
    };

    assert!(store.advance_upload(step(0, 10, "first")).await.unwrap());
    assert!(!store.advance_upload(step(0, 20, "late")).await.unwrap());
    assert!(!store.advance_upload(step(20, 30, "early")).await.unwrap());
    assert!(store.advance_upload(step(10, 25, "second")).await.unwrap());

    let read = store.upload(&opened.repository, opened.id).await.unwrap().unwrap();
    assert_eq!(read.offset, 25);
    assert_eq!(read.hash_state, b"state at 25");
    assert_eq!(read.handle, "second");
    let unknown = UploadProgress { id: UploadId::random(), ..step(25, 30, "unknown") };
    assert!(!store.advance_upload(unknown).await.unwrap());
}

pub async fn a_cancelled_session_is_gone(store: Store) {
    let opened = new_upload("app");
    store.create_upload(opened.clone()).await.unwrap();

    assert!(!store.delete_upload(&repository("other"), opened.id).await.unwrap());
    assert!(store.delete_upload(&opened.repository, opened.id).await.unwrap());
    assert!(!store.delete_upload(&opened.repository, opened.id).await.unwrap());

    assert_eq!(store.upload(&opened.repository, opened.id).await.unwrap(), None);
    let progress = UploadProgress {
        id: opened.id,
        from_offset: 0,
        offset: 1,
        hash_state: Vec::new(),
        handle: String::new(),
    };
    assert!(!store.advance_upload(progress).await.unwrap());
}

pub async fn stale_sessions_are_listed_by_age(store: Store) {
    let (long_ago, soon) = around_now();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let opened = new_upload("app");
        store.create_upload(opened.clone()).await.unwrap();
        ids.push(opened.id);
    }
    // The first one moves, and is the youngest from then on.
    let progress = UploadProgress {
        id: ids[0],
        from_offset: 0,
        offset: 1,
        hash_state: vec![1],
        handle: String::new(),
    };
    assert!(store.advance_upload(progress).await.unwrap());

    assert!(store.stale_uploads(long_ago, 10).await.unwrap().is_empty());
    let stale = store.stale_uploads(soon, 10).await.unwrap();
    assert!(stale.is_sorted_by_key(|upload| upload.updated_at));
    assert_eq!(stale.len(), 3);
    assert_eq!(stale[2].offset, 1);
    assert_eq!(store.stale_uploads(soon, 2).await.unwrap(), stale[..2]);
    let youngest = stale[2].updated_at;
    assert!(store.stale_uploads(youngest, 10).await.unwrap().iter().all(|u| u.id != ids[0]));
}

pub async fn stale_sessions_are_taken_once(store: Store) {
    let (long_ago, soon) = around_now();
    for _ in 0..40 {
        store.create_upload(new_upload("app")).await.unwrap();
    }
    assert!(store.take_stale_uploads(long_ago, 10).await.unwrap().is_empty());
    let mut takers = JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        takers.spawn(async move {
            let mut taken = Vec::new();
            loop {
                let round = store.take_stale_uploads(soon, 3).await.unwrap();
                assert!(round.len() <= 3 && round.is_sorted_by_key(|upload| upload.updated_at));
                if round.is_empty() {
                    return taken;
                }
                taken.extend(round.into_iter().map(|upload| upload.id));
            }
        });
    }
    let mut taken: Vec<_> = takers.join_all().await.into_iter().flatten().collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 40);
    assert!(!store.upload_exists(taken[0]).await.unwrap());
}

pub async fn a_held_session_stands_where_it_is_told(store: Store) {
    let opened = new_upload("app");
    let lease = Duration::from_secs(60);
    let elsewhere = repository("elsewhere");
    let hold = |name| store.hold_upload(name, opened.id, lease);
    assert_eq!(hold(&opened.repository).await.unwrap(), HeldUpload::Unknown);
    store.create_upload(opened.clone()).await.unwrap();
    assert_eq!(hold(&elsewhere).await.unwrap(), HeldUpload::Unknown);

    let HeldUpload::Held(session) = hold(&opened.repository).await.unwrap() else { panic!() };
    assert_eq!((session.id, session.offset), (opened.id, 0));
    assert!(store.renew_upload(opened.id, lease).await.unwrap());
    let progress = UploadProgress {
        id: opened.id,
        from_offset: 0,
        offset: 7,
        hash_state: vec![1],
        handle: String::new(),
    };
    assert!(store.advance_upload(progress).await.unwrap());
    store.release_upload(opened.id).await.unwrap();

    let HeldUpload::Held(session) = hold(&opened.repository).await.unwrap() else { panic!() };
    assert_eq!(session.offset, 7);
}

fn around_now() -> (SystemTime, SystemTime) {
    let hour = Duration::from_secs(3600);
    (SystemTime::now() - hour, SystemTime::now() + hour)
}
