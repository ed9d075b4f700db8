//! What stands between servers and their clients without knowing what they say, or which server it is.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response};
use berth_test_stores::{Balancer, TcpProxy};
use futures_util::StreamExt as _;

/// A server that says its name, and then what it hears.
fn echo(name: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let _ = stream.write_all(&[name]);
                let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
            });
        }
    });
    address
}

struct Client(TcpStream);

impl Client {
    fn connect(proxy: &TcpProxy) -> Self {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    fn hears(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.0.read_exact(&mut byte).ok().map(|()| byte[0])
    }

    fn says(&mut self, byte: u8) {
        let _ = self.0.write_all(&[byte]);
    }
}

#[test]
fn connections_are_cut_and_refused_and_go_to_another_server() {
    let proxy = TcpProxy::start(echo(b'1')).unwrap();
    let mut client = Client::connect(&proxy);
    client.says(b'x');
    assert_eq!((client.hears(), client.hears()), (Some(b'1'), Some(b'x')));
    proxy.cut();
    assert_eq!(client.hears(), None);
    let mut client = Client::connect(&proxy);
    assert_eq!(client.hears(), Some(b'1'));
    proxy.refuse();
    assert_eq!(client.hears(), None);
    assert_eq!(Client::connect(&proxy).hears(), None);
    proxy.heal();
    let mut client = Client::connect(&proxy);
    assert_eq!(client.hears(), Some(b'1'));
    proxy.point_at(echo(b'2'));
    assert_eq!(client.hears(), None);
    assert_eq!(Client::connect(&proxy).hears(), Some(b'2'));
}

#[test]
fn nothing_passes_while_it_stalls_and_all_of_it_afterwards() {
    let proxy = TcpProxy::start(echo(b'1')).unwrap();
    let mut client = Client::connect(&proxy);
    assert_eq!(client.hears(), Some(b'1'));
    proxy.stall();
    client.says(b'x');
    client.0.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(client.hears(), None);
    client.0.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    proxy.heal();
    assert_eq!(client.hears(), Some(b'x'));
}

/// A replica that tells its name, the host it was asked for, and how the body was framed, and gives the body back.
async fn replica(name: &'static str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move |headers: HeaderMap, body: Bytes| async move {
        let header = |name| headers.get(name).map_or("none", |value| value.to_str().unwrap());
        Response::builder()
            .header("replica", name)
            .header("asked", header("host"))
            .header("length", header("content-length"))
            .header("framing", header("transfer-encoding"))
            .body(Body::from(body))
            .unwrap()
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    address
}

#[tokio::test]
async fn requests_go_to_any_replica_and_bodies_keep_their_framing() {
    let balancer = Balancer::start(&[replica("a").await, replica("b").await], 1).unwrap();
    let (url, client) = (format!("http://{}/", balancer.address()), reqwest::Client::new());
    let mut replicas = BTreeSet::new();
    for _ in 0..40 {
        let answer = client.put(&url).body("body").send().await.unwrap();
        let header = |name| answer.headers()[name].to_str().unwrap().to_owned();
        replicas.insert(header("replica"));
        assert_eq!(header("asked"), balancer.address().to_string());
        assert_eq!((&*header("length"), &*header("framing")), ("4", "none"));
        assert_eq!(answer.text().await.unwrap(), "body");
    }
    assert_eq!(replicas.len(), 2);
    let requests = balancer.requests();
    assert_eq!(requests.iter().sum::<u64>(), 40);
    assert!(requests.iter().all(|requests| *requests > 8), "{requests:?}");

    let pieces = futures_util::stream::iter(["a", "b"]).map(Ok::<_, std::io::Error>);
    let streamed = client.put(&url).body(reqwest::Body::wrap_stream(pieces));
    let answer = streamed.send().await.unwrap();
    assert_eq!(answer.headers()["length"], "none");
    assert_eq!(answer.headers()["framing"], "chunked");
    assert_eq!(answer.text().await.unwrap(), "ab");
}

#[tokio::test]
async fn a_replica_that_is_away_is_passed_over_and_one_that_dies_breaks_its_requests() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let balancer = Balancer::start(&[replica("a").await, nobody], 1).unwrap();
    let url = format!("http://{}/", balancer.address());
    for _ in 0..20 {
        let answer = reqwest::get(&url).await.unwrap();
        assert_eq!(answer.headers()["replica"], "a");
    }
    assert_eq!(balancer.requests(), [20, 0]);

    let dying = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = dying.local_addr().unwrap();
    thread::spawn(move || {
        let _ = dying.accept().unwrap().0.read(&mut [0; 100]);
    });
    let balancer = Balancer::start(&[address], 1).unwrap();
    assert!(reqwest::get(format!("http://{}/", balancer.address())).await.is_err());

    let balancer = Balancer::start(&[nobody], 1).unwrap();
    let answer = reqwest::get(format!("http://{}/", balancer.address())).await.unwrap();
    assert_eq!(answer.status(), 502);
}
