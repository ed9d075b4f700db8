//! Requests that are broken as HTTP, and connections that break.

use anyhow::{Context, Result, ensure};
use berth_tests::content::{Blob, IMAGE, Manifest, Random};
use berth_tests::wait;
use berth_tests::wire::{Request, delete, get, patch, post, put};

use crate::api::Api;

#[test]
fn what_is_not_http_is_answered_with_400_and_closed() -> Result<()> {
    let api = Api::in_memory(&[])?;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"hello\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /v2/a b/tags/list HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut connection = api.connect()?;
        connection.write(garbage)?;
        let answer = connection.until_closed()?;
        let text = String::from_utf8_lossy(&answer);
        ensure!(
            text.starts_with("HTTP/1.1 400 "),
            "{:?} gave {text:?}",
            String::from_utf8_lossy(garbage)
        );
    }
    api.get("/v2/")?.expect(200)?;
    Ok(())
}

#[test]
fn heads_that_are_too_large_are_refused() -> Result<()> {
    let api = Api::in_memory(&[])?;
    let long_header = get("/v2/").header("X-Long", "x".repeat(200_000));
    let many_headers =
        (0..500).fold(get("/v2/"), |request, number| request.header(&format!("X-{number}"), 1));
    let long_target = get(format!("/v2/{}", "a".repeat(100_000)));
    for (request, statuses) in
        [(long_header, [431, 400]), (many_headers, [431, 400]), (long_target, [414, 431])]
    {
        let answer = api.send(&request)?;
        ensure!(statuses.contains(&answer.status), "answered {}", answer.status);
    }
    // A long query of tags is within the limits.
    let tags: Vec<String> = (0..50).map(|number| format!("tag=version-{number}")).collect();
    let blob = Blob::new("{}");
    api.push_blob("app", &blob)?;
    let manifest = Manifest::image(&blob, &[]);
    api.push_manifest("app", &format!("{}?{}", manifest.digest, tags.join("&")), &manifest)?
        .expect(201)?;
    Ok(())
}

#[test]
fn chunks_with_broken_framing_are_refused_and_not_kept() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 100);
        let target = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
        for framing in [
            "zz\r\nxx\r\n0\r\n\r\n",
            "ffffffffffffffffff\r\nx",
            "5\r\nabcdefg\r\n0\r\n\r\n",
            "-5\r\nabcde\r\n",
        ] {
            let mut connection = api.connect()?;
            let head = post(&target).streamed("").head();
            connection.write(&head)?;
            connection.write(framing.as_bytes())?;
            connection.finish_writing()?;
            let answer = connection.until_closed()?;
            let text = String::from_utf8_lossy(&answer);
            ensure!(
                text.is_empty() || text.starts_with("HTTP/1.1 400 "),
                "{framing:?} gave {text:?}"
            );
        }
        api.get(&format!("/v2/app/blobs/{}", blob.digest))?.expect(404)?;
    }
    Ok(())
}

#[test]
fn a_length_beside_chunked_framing_cannot_smuggle_a_request() -> Result<()> {
    let api = Api::in_memory(&[])?;
    let blob = Blob::random(1, 5);
    let head = post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest))
        .header("Content-Length", 4)
        .streamed(&*blob.bytes);
    let mut connection = api.connect()?;
    connection.write(&head.head())?;
    connection.write(&head.framed_body())?;
    let answer = connection.answer(false)?;
    // Refused, or read as chunked: both ends agree where the request ended.
    ensure!(matches!(answer.status, 201 | 400), "answered {}", answer.status);
    Ok(())
}

#[test]
fn a_body_that_ends_early_stores_nothing_that_was_not_asked_for() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 100_000);
        let manifest = Manifest::image(&Blob::new("{}"), &[]);
        api.push_blob("app", &Blob::new("{}"))?;
        for request in [
            post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).body(&*blob.bytes),
            post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).streamed(&*blob.bytes),
            put("/v2/app/manifests/latest").header("Content-Type", IMAGE).body(&*manifest.bytes),
        ] {
            let body = request.framed_body();
            let mut connection = api.connect()?;
            connection.write(&request.head())?;
            connection.write(&body[..body.len() - 1])?;
            drop(connection);
        }
        if api.has_files() {
            let uploads = api.root()?.join("berth/uploads");
            wait::until("the bytes are given back", || {
                Ok(std::fs::read_dir(&uploads)?.count() == 0)
            })?;
        }
        api.get(&format!("/v2/app/blobs/{}", blob.digest))?.expect(404)?;
        api.get("/v2/app/manifests/latest")?.expect(404)?;
        // The same blob can be pushed at once.
        api.push_blob("app", &blob)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn bytes_behind_an_announced_body_are_not_part_of_it() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        let request =
            post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).body(&*blob.bytes);
        let mut connection = api.connect()?;
        connection.write(&request.head())?;
        connection.write(&request.framed_body())?;
        connection.write(b"these are too many\r\n\r\n")?;
        connection.answer(false)?.expect(201)?;
        connection.answer(false)?.expect(400)?;
        connection.until_closed()?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn a_refused_body_is_still_read_so_that_the_answer_arrives_and_the_connection_lasts() -> Result<()>
{
    for api in Api::each() {
        let body = vec![7; 6 << 20];
        let mut connection = api.connect()?;
        for request in [
            post("/v2/UPPER/blobs/uploads/?digest=x").body(&*body),
            post("/v2/app/blobs/uploads/?digest=sha256:00").body(&*body),
            post("/v2/app/blobs/uploads/?digest=sha256:00").streamed(&*body),
            put("/v2/app/blobs/uploads/0190b5a4-7c1e-7000-8000-000000000000?digest=sha256:00")
                .body(&*body),
            patch("/v2/app/blobs/uploads/0190b5a4-7c1e-7000-8000-000000000000").streamed(&*body),
            post("/v2/app/manifests/latest").body(&*body),
            put("/v2/app/manifests/latest").header("Content-Type", IMAGE).body(&*body),
            put("/v2/app/manifests/latest").header("Content-Type", IMAGE).streamed(&*body),
        ] {
            let answer = connection.send(&request)?;
            ensure!(matches!(answer.status, 400 | 404 | 405 | 413), "answered {}", answer.status);
            ensure!(!answer.body.is_empty(), "no reason was given");
            connection
                .send(&get("/v2/"))
                .with_context(|| format!("after {}", request.line()))?
                .expect(200)?;
        }
    }
    Ok(())
}

#[test]
fn a_reader_that_leaves_early_harms_nobody() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 20 << 20);
        api.push_blob("app", &blob)?;
        for _ in 0..20 {
            let mut connection = api.connect()?;
            connection.write(&get(format!("/v2/app/blobs/{}", blob.digest)).head())?;
            drop(connection);
        }
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn old_clients_that_speak_http_1_0_are_answered() -> Result<()> {
    let api = Api::in_memory(&[])?;
    let mut connection = api.connect()?;
    connection.write(b"GET /v2/ HTTP/1.0\r\n\r\n")?;
    let answer = connection.until_closed()?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(text.contains(" 200 OK\r\n") && text.ends_with("{}"), "{text:?}");
    Ok(())
}

#[test]
fn unusual_targets_are_answered() -> Result<()> {
    let api = Api::in_memory(&[])?;
    for (request, status) in [
        ("GET http://registry.test/v2/ HTTP/1.1", 200),
        ("GET http://other.test:5000/v2/_catalog?n=1 HTTP/1.1", 200),
        ("OPTIONS * HTTP/1.1", 404),
        ("GET /v2/?digest=%zz&n=%&last=%e2%28 HTTP/1.1", 200),
        ("GET /v2/_catalog?%6e=0&&&=&n=1 HTTP/1.1", 200),
        ("GET /v2/\u{e9}/tags/list HTTP/1.1", 400),
        ("BREW /v2/ HTTP/1.1", 405),
    ] {
        let mut connection = api.connect()?;
        connection.write(format!("{request}\r\nHost: registry.test\r\n\r\n").as_bytes())?;
        let answer = connection.answer(false)?;
        assert_eq!(answer.status, status, "{request}");
    }
    Ok(())
}

/// Every kind of request, for a repository that holds an image.
fn specimens(api: &Api) -> Result<Vec<Request>> {
    let manifest = api.push_image("app", "1", 1)?;
    let (blob, session) = (Blob::random(2, 100), api.begin("app")?);
    let new = Blob::random(5, 300);
    Ok(vec![
        get("/v2/"),
        get("/v2/_catalog?n=5&last=a"),
        get("/v2/app/tags/list?n=1&last=0"),
        get("/v2/app/manifests/1").header("Accept", IMAGE).header("If-None-Match", "\"x\""),
        get(format!("/v2/app/blobs/{}", blob.digest)).header("Range", "bytes=1-5,7-,-9"),
        get(format!("/v2/app/referrers/{}?artifactType=a", manifest.digest)),
        post("/v2/app/blobs/uploads/?digest-algorithm=sha512"),
        post(format!("/v2/b/blobs/uploads/?mount={}&from=app", blob.digest)),
        post(format!("/v2/app/blobs/uploads/?digest={}", new.digest)).streamed(&*new.bytes),
        patch(&session).header("Content-Range", "0-299").body(&*new.bytes),
        put(format!("{session}?digest={}", new.digest))
            .header("Expect", "100-continue")
            .body(&*new.bytes),
        put(format!("/v2/app/manifests/{}?tag=a&tag=b", manifest.digest))
            .header("Content-Type", IMAGE)
            .body(&*manifest.bytes),
        delete("/v2/app/manifests/none"),
        delete(&session),
        get("/readyz").header("X-Request-ID", "abc"),
    ])
}

/// Changes a few places of a message: bytes flipped, cut out, doubled, or replaced by what parsers stumble over.
fn mutilate(message: &mut Vec<u8>, random: &mut Random) {
    const TRAPS: [&[u8]; 12] = [
        b"\r\n",
        b"\0",
        b"%",
        b"%00",
        b"..",
        b"/",
        b"\xff\xfe",
        b": ",
        b"99999999999999999999",
        b"-1",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ];
    for _ in 0..=random.below(3) {
        let at = random.below(message.len() as u64) as usize;
        let end = (at + 1 + random.below(20) as usize).min(message.len());
        match random.below(5) {
            0 => message[at] ^= 1 << random.below(8),
            1 => drop(message.drain(at..end)),
            2 => message.truncate(at),
            3 => {
                let doubled = message[at..end].to_vec();
                message.splice(at..at, doubled);
            }
            _ => drop(message.splice(at..at, random.choose(&TRAPS).iter().copied())),
        }
        if message.is_empty() {
            return;
        }
    }
}

#[test]
fn mutilated_requests_are_answered_or_cut_off_and_nothing_is_left_of_them() -> Result<()> {
    for (seed, api) in (1u64..).zip(Api::each()) {
        let specimens = specimens(&api)?;
        let mut random = Random::new(seed);
        for round in 0..1500 {
            let request = random.choose(&specimens);
            let mut message = [request.head(), request.framed_body()].concat();
            mutilate(&mut message, &mut random);
            let mut connection = api.connect()?;
            // It may have been refused before it was sent.
            let _ = connection.write(&message).and_then(|()| connection.finish_writing());
            let answer = connection.until_closed()?;
            let text = String::from_utf8_lossy(&answer[..answer.len().min(12)]);
            let is_fault = text.starts_with("HTTP/1.1 5");
            ensure!(!is_fault, "round {round}: {text} to {:?}", String::from_utf8_lossy(&message));
        }
        wait::until("no request is left over", || {
            Ok(api.metric("berth_http_in_flight")? == Some(1.0))
        })?;
        wait::until("no connection is left over", || {
            Ok(api.metric("berth_http_connections")? == Some(1.0))
        })?;
        api.get("/v2/app/manifests/1")?.expect(200)?;
        api.push_image("after", "1", 9)?;
    }
    Ok(())
}
