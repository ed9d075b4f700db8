use std::time::{Duration, SystemTime};

use berth_metadata::SigningKey;

use super::fixtures::*;

/// A key that was made so many hours ago.
pub fn key(id: &str, age: u32) -> SigningKey {
    let created = in_micros(SystemTime::now() - HOUR * age);
    SigningKey { id: id.to_owned(), private: id.as_bytes().to_vec(), created }
}

/// The ids of the keys that stand after one was added.
async fn add(store: &Accounts, key: &SigningKey, newest: Option<&str>) -> Vec<String> {
    add_and_forget(store, key, newest, SystemTime::UNIX_EPOCH).await
}

async fn add_and_forget(
    store: &Accounts,
    key: &SigningKey,
    newest: Option<&str>,
    forget: SystemTime,
) -> Vec<String> {
    let keys = store.add_signing_key(key, newest, forget).await.unwrap();
    assert!(keys == store.signing_keys().await.unwrap());
    keys.into_iter().map(|key| key.id).collect()
}

pub async fn keys_are_listed_the_newest_first(store: Accounts) {
    assert!(store.signing_keys().await.unwrap().is_empty());
    // Whatever the clock of the process says that has made it.
    for (id, age, newest) in [("z", 2, None), ("a", 3, Some("z")), ("m", 1, Some("a"))] {
        add(&store, &key(id, age), newest).await;
    }
    let keys = store.signing_keys().await.unwrap();
    assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["m", "a", "z"]);
    assert_eq!(keys[0].private, b"m");
    let told = format!("{:?}", keys[0]);
    assert!(told.contains('m') && !told.contains("private"), "{told}");
}

pub async fn one_of_two_makes_the_next_key(store: Accounts) {
    assert_eq!(add(&store, &key("early", 0), Some("before")).await, Vec::<String>::new());
    assert_eq!(add(&store, &key("one", 0), None).await, ["one"]);
    assert_eq!(add(&store, &key("other", 0), None).await, ["one"]);
    assert_eq!(add(&store, &key("two", 0), Some("one")).await, ["two", "one"]);
    assert_eq!(add(&store, &key("other", 0), Some("one")).await, ["two", "one"]);
}

pub async fn the_newest_two_are_never_forgotten(store: Accounts) {
    let late = SystemTime::now() + HOUR;
    assert_eq!(add_and_forget(&store, &key("1", 9), None, late).await, ["1"]);
    assert_eq!(add_and_forget(&store, &key("2", 9), Some("1"), late).await, ["2", "1"]);
    assert_eq!(add_and_forget(&store, &key("3", 9), Some("2"), late).await, ["3", "2"]);
}

pub async fn old_keys_are_forgotten(store: Accounts) {
    for (id, age, newest) in
        [("1", 40, None), ("2", 30, Some("1")), ("3", 20, Some("2")), ("4", 10, Some("3"))]
    {
        add(&store, &key(id, age), newest).await;
    }
    let forget = SystemTime::now() - HOUR * 25;
    // Who comes too late forgets nothing.
    let late = add_and_forget(&store, &key("x", 0), Some("3"), SystemTime::now()).await;
    assert_eq!(late, ["4", "3", "2", "1"]);
    assert_eq!(add_and_forget(&store, &key("5", 0), Some("4"), forget).await, ["5", "4", "3"]);
    let later = forget + Duration::from_secs(10 * 3600);
    assert_eq!(add_and_forget(&store, &key("6", 0), Some("5"), later).await, ["6", "5", "4"]);
}
