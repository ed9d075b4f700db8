//! The proxy, before a store of this crate.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use berth_test_stores::proxy::Kind;
use berth_test_stores::{Fault, FaultProxy, Gcs};
use reqwest::{Client, RequestBuilder};

/// A store with one object behind a proxy that has counted nothing yet.
struct Case {
    server: Gcs,
    proxy: FaultProxy,
    client: Client,
}

const BODY: &[u8] = b"0123456789";

impl Case {
    async fn new() -> Self {
        let server = Gcs::start().unwrap();
        let proxy = FaultProxy::start(&server.endpoint()).unwrap();
        let case = Self { server, proxy, client: Client::new() };
        assert_eq!(case.put().send().await.unwrap().status(), 200);
        case.proxy.clear();
        case
    }

    fn url(&self) -> String {
        format!("{}/{}/object", self.proxy.endpoint(), self.server.bucket())
    }

    fn get(&self) -> RequestBuilder {
        self.client.get(self.url()).bearer_auth(self.server.token())
    }

    fn put(&self) -> RequestBuilder {
        self.client.put(self.url()).bearer_auth(self.server.token()).body(BODY)
    }

    async fn read(&self) -> reqwest::Result<Vec<u8>> {
        Ok(self.get().send().await?.bytes().await?.to_vec())
    }
}

#[tokio::test]
async fn requests_and_bytes_are_counted() {
    let case = Case::new().await;
    case.put().send().await.unwrap();
    assert_eq!(case.read().await.unwrap(), BODY);
    let kinds: Vec<_> = case.proxy.requests().iter().map(|seen| seen.kind()).collect();
    assert_eq!(kinds, [Kind::Put, Kind::Get]);
    assert_eq!(case.proxy.count(Kind::Get), 1);
    assert_eq!((case.proxy.bytes_up(), case.proxy.bytes_down()), (10, 10));
}

#[tokio::test]
async fn a_copy_is_told_from_an_upload() {
    let case = Case::new().await;
    case.put().send().await.unwrap();
    case.put().header("x-amz-copy-source", "/bucket/other").send().await.unwrap();
    let copies: Vec<_> = case.proxy.requests().iter().map(|seen| seen.copies).collect();
    assert_eq!(copies, [false, true]);
}

#[tokio::test]
async fn the_next_requests_get_an_error_and_the_store_gets_none_of_them() {
    let case = Case::new().await;
    case.proxy.next(Fault::Status(503), 2);
    for _ in 0..2 {
        let answer = case.put().send().await.unwrap();
        assert_eq!(answer.status(), 503);
        assert!(answer.text().await.unwrap().contains("<Code>SlowDown</Code>"));
    }
    assert_eq!(case.proxy.bytes_up(), 0);
    assert_eq!(case.put().send().await.unwrap().status(), 200);
    assert_eq!(case.proxy.pending(), 0);
}

#[tokio::test]
async fn a_fault_can_be_for_one_kind_of_request() {
    let case = Case::new().await;
    case.proxy.next_of(Kind::Get, Fault::Status(500), 1);
    assert_eq!(case.put().send().await.unwrap().status(), 200);
    assert_eq!(case.get().send().await.unwrap().status(), 500);
}

#[tokio::test]
async fn an_answer_is_cut_after_some_bytes() {
    let case = Case::new().await;
    case.proxy.next(Fault::Cut(4), 1);
    let mut answer = case.get().send().await.unwrap();
    assert_eq!(answer.content_length(), Some(10));
    let mut got = Vec::new();
    let error = loop {
        match answer.chunk().await {
            Ok(Some(bytes)) => got.extend_from_slice(&bytes),
            Ok(None) => panic!("the answer is complete"),
            Err(error) => break error,
        }
    };
    assert_eq!(got, BODY[..4], "{error}");
    assert_eq!(case.read().await.unwrap(), BODY);
}

#[tokio::test]
async fn an_answer_stalls_after_some_bytes() {
    let case = Case::new().await;
    case.proxy.next(Fault::Stall(4), 1);
    let mut answer = case.get().send().await.unwrap();
    let mut got = Vec::new();
    while got.len() < 4 {
        got.extend_from_slice(&answer.chunk().await.unwrap().unwrap());
    }
    let more = tokio::time::timeout(Duration::from_millis(200), answer.chunk()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn an_answer_is_truncated_as_if_it_were_complete() {
    let case = Case::new().await;
    case.proxy.next(Fault::Truncate(4), 1);
    assert_eq!(case.read().await.unwrap(), BODY[..4]);
}

#[tokio::test]
async fn a_bit_is_flipped() {
    let case = Case::new().await;
    case.proxy.next(Fault::Flip(3), 1);
    assert_eq!(case.read().await.unwrap(), b"0122456789");
}

#[tokio::test]
async fn an_answer_is_lost_after_the_store_did_its_work() {
    let case = Case::new().await;
    case.proxy.next(Fault::LoseAnswer, 1);
    let put = case.put().header("content-type", "text/changed").send().await;
    assert!(put.is_err(), "{put:?}");
    let answer = case.get().send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/changed");
}

#[tokio::test]
async fn an_upload_is_cut_and_a_connection_refused() {
    let case = Case::new().await;
    for fault in [Fault::CutUpload(4), Fault::Refuse] {
        case.proxy.next(fault.clone(), 1);
        let put = case.put().header("content-type", "text/changed").send().await;
        assert!(put.is_err(), "{fault:?}: {put:?}");
    }
    let answer = case.get().send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
}

#[tokio::test]
async fn frozen_lists_lag_behind_the_store() {
    let case = Case::new().await;
    let list = async || {
        let url = format!("{}/{}?list-type=2", case.proxy.endpoint(), case.server.bucket());
        let list = case.client.get(url).bearer_auth(case.server.token()).send().await.unwrap();
        list.text().await.unwrap().contains("<Key>object</Key>")
    };
    assert!(list().await);
    case.proxy.freeze_lists();
    let delete = case.client.delete(case.url()).bearer_auth(case.server.token());
    assert_eq!(delete.send().await.unwrap().status(), 204);
    assert!(list().await);
    case.proxy.heal();
    assert!(!list().await);
}

#[tokio::test]
async fn every_request_waits_until_the_proxy_is_healed() {
    let case = Case::new().await;
    let delay = Duration::from_millis(100);
    case.proxy.delay(delay);
    case.proxy.next(Fault::Status(500), usize::MAX);
    let start = Instant::now();
    assert_eq!(case.get().send().await.unwrap().status(), 500);
    assert!(start.elapsed() >= delay);
    case.proxy.heal();
    assert_eq!(case.read().await.unwrap(), BODY);
}
