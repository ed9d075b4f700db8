//! Webhooks: what they are told of, and that they are told of all of it.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use berth_tests::content::{Blob, DOCKER_IMAGE, Manifest, image};
use berth_tests::receiver::{Answer, Receiver};
use berth_tests::server::free_address;
use berth_tests::wire::{self, Request, delete, get, head, post, put};
use berth_tests::{Launch, Target, wait};
use serde_json::{Value, json};

use crate::api::Api;

const ENDPOINTS: &str = "REGISTRY_NOTIFICATIONS_ENDPOINTS";

/// The setting of one endpoint, with further keys.
fn endpoint(address: SocketAddr, further: &str) -> String {
    format!("[{{name: hook, url: 'http://{address}/hook', backoff: 20ms, {further}}}]")
}

/// A registry on files that tells a webhook.
fn telling(receiver: &Receiver, further: &str) -> Result<Api> {
    Api::on_files(&[(ENDPOINTS, &endpoint(receiver.address(), further))])
}

/// What was done to what, in a few words for each event.
fn in_short(events: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let short = |event: &Value| {
        let target = &event["target"];
        let what = target["tag"].as_str().map_or_else(|| text(&target["digest"]), str::to_owned);
        format!("{} {} {what}", text(&event["action"]), text(&target["repository"]))
    };
    events.iter().map(short).collect()
}

fn push_blobs(api: &Api, count: u64) -> Result<Vec<String>> {
    let push = |number| {
        let blob = Blob::random(number, 100);
        api.push_blob("app", &blob)?;
        Ok(format!("push app {}", blob.digest))
    };
    (0..count).map(push).collect()
}

fn image_of(config: &Blob, layer: &Blob) -> Manifest {
    let mut image = image(config, &[layer]);
    image["mediaType"] = json!(DOCKER_IMAGE);
    Manifest::new(&image)
}

/// What a client does that pushes, pulls, mounts and deletes. One request for each event, and some for none.
fn use_registry(address: SocketAddr) -> Result<()> {
    let send = |request: Request, status| -> Result<wire::Answer> {
        wire::send(address, &request.header("User-Agent", "a client"))?.expect(status)
    };
    let (config, layer) = (Blob::random(1, 10), Blob::random(2, 100));
    for blob in [&config, &layer] {
        let answer = send(post("/v2/team/app/blobs/uploads/"), 202)?;
        let location = answer.header("location")?.trim_start_matches("http://registry.test");
        let separator = if location.contains('?') { '&' } else { '?' };
        let finish = format!("{location}{separator}digest={}", blob.digest);
        send(put(finish).body(&*blob.bytes), 201)?;
    }
    let image = image_of(&config, &layer);
    let push = |reference: &str| {
        put(format!("/v2/team/app/manifests/{reference}"))
            .header("Content-Type", &image.media_type)
            .body(&*image.bytes)
    };
    send(push("v1"), 201)?;
    send(push(&image.digest), 201)?;
    let accepting = |request: Request| request.header("Accept", &image.media_type);
    send(accepting(get("/v2/team/app/manifests/v1")), 200)?;
    send(accepting(get(format!("/v2/team/app/manifests/{}", image.digest))), 200)?;
    send(get(format!("/v2/team/app/blobs/{}", layer.digest)), 200)?;
    send(get("/v2/team/app/tags/list"), 200)?;
    let mount = format!("/v2/other/blobs/uploads/?mount={}&from=team/app", layer.digest);
    send(post(mount), 201)?;
    send(delete(format!("/v2/team/app/manifests/{}", image.digest)), 202)?;
    send(delete(format!("/v2/team/app/blobs/{}", layer.digest)), 202)?;
    Ok(())
}

/// The events without what is never the same twice.
fn comparable(events: &[Value]) -> Result<Vec<Value>> {
    let mut events = events.to_vec();
    for event in &mut events {
        let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
        ensure!(text(&event["id"])?.len() == 36, "{event}");
        ensure!(text(&event["timestamp"])?.ends_with('Z'), "{event}");
        ensure!(text(&event["source"]["instanceID"])?.len() == 36, "{event}");
        ensure!(text(&event["request"]["addr"])?.starts_with("127.0.0.1:"), "{event}");
        ensure!(!text(&event["request"]["id"])?.is_empty(), "{event}");
        for (section, key) in
            [("source", "instanceID"), ("source", "addr"), ("request", "addr"), ("request", "id")]
        {
            event[section][key] = json!("*");
        }
        event["id"] = json!("*");
        event["timestamp"] = json!("*");
    }
    Ok(events)
}

#[test]
fn events_are_those_of_the_docker_registry() -> Result<()> {
    const COUNT: usize = 11;
    let (ours, theirs) = (Receiver::start()?, Receiver::start()?);
    let setting = |receiver: &Receiver| {
        let endpoints = endpoint(receiver.address(), "headers: {X-Key: [secret]}");
        format!("{{events: {{includereferences: true}}, endpoints: {endpoints}}}")
    };
    let registry = Launch::in_memory()?
        .target(Target::DockerRegistry)
        .env("REGISTRY_NOTIFICATIONS", setting(&theirs))
        .start()?;
    use_registry(registry.address())?;
    let expected = comparable(&theirs.wait_for(COUNT)?)?;
    assert_eq!(expected[2]["target"]["references"].as_array().map(Vec::len), Some(2));
    let node = theirs.events()[0]["source"]["addr"].to_string();
    for api in Api::each_with(&[("REGISTRY_NOTIFICATIONS", &setting(&ours))]) {
        let before = ours.events().len();
        use_registry(api.address)?;
        let told = ours.wait_for(before + COUNT)?.split_off(before);
        let mut told_in_order = comparable(&told)?;
        // Pulls wait for no database, so they may come after what followed them.
        told_in_order.sort_by_key(|event| {
            expected.iter().position(|other| other == event).unwrap_or(usize::MAX)
        });
        assert_eq!(told_in_order, expected);
        let host = |text: &str| text.trim_matches('"').rsplit_once(':').map(|(h, _)| h.to_owned());
        assert_eq!(host(&told[0]["source"]["addr"].to_string()), host(&node));
        let instances = told.iter().map(|event| &event["source"]["instanceID"]);
        ensure!(instances.clone().all(|instance| *instance == told[0]["source"]["instanceID"]));
    }
    for (of_ours, of_theirs) in ours.requests().iter().zip(theirs.requests()) {
        assert_eq!(of_ours.target, "/hook");
        for header in ["content-type", "x-key"] {
            assert_eq!(of_ours.headers[header], of_theirs.headers[header]);
        }
    }
    registry.stop()
}

#[test]
fn a_look_is_no_pull_and_a_failure_is_no_event() -> Result<()> {
    let receiver = Receiver::start()?;
    let api = telling(&receiver, "")?;
    let manifest = api.push_image("app", "1", 1)?;
    let pushed = receiver.wait_for(3)?.len();
    let blob = Blob::random(2, 100);
    let (manifests, blobs) = ("/v2/app/manifests/1", format!("/v2/app/blobs/{}", blob.digest));
    for target in [manifests, blobs.as_str()] {
        api.send(&head(target))?.expect(200)?;
    }
    api.send(&get(manifests).header("If-None-Match", format!("\"{}\"", manifest.digest)))?
        .expect(304)?;
    api.send(&get(blobs.as_str()).header("If-None-Match", format!("\"{}\"", blob.digest)))?
        .expect(304)?;
    api.get("/v2/app/manifests/none")?.expect(404)?;
    api.delete("/v2/app/manifests/none")?.expect(404)?;
    let wrong = format!("/v2/app/blobs/uploads/?digest={}", Blob::random(99, 9).digest);
    api.send(&post(wrong).body("other bytes"))?.expect(400)?;
    api.get(manifests)?.expect(200)?;

    let events = receiver.wait_for(pushed + 1)?;
    assert_eq!(in_short(&events[pushed..]), ["pull app 1"]);
    assert_eq!(events[pushed]["request"]["method"], "GET");
    Ok(())
}

#[test]
fn tags_are_told_one_by_one() -> Result<()> {
    let receiver = Receiver::start()?;
    let api = telling(&receiver, "")?;
    let manifest = api.push_image("app", "1", 1)?;
    let both = format!("/v2/app/manifests/{}?tag=2&tag=3", manifest.digest);
    let push = put(both).header("Content-Type", &manifest.media_type).body(&*manifest.bytes);
    api.send(&push)?.expect(201)?;
    api.delete("/v2/app/manifests/2")?.expect(202)?;
    api.delete(&format!("/v2/app/manifests/{}", manifest.digest))?.expect(202)?;
    let events = receiver.wait_for(9)?;
    let expected = [
        "push app 1".to_owned(),
        "push app 2".to_owned(),
        "push app 3".to_owned(),
        "delete app 2".to_owned(),
        format!("delete app {}", manifest.digest),
        "delete app 1".to_owned(),
        "delete app 3".to_owned(),
    ];
    assert_eq!(in_short(&events[2..]), expected);
    Ok(())
}

#[test]
fn an_endpoint_that_is_down_misses_nothing_over_restarts() -> Result<()> {
    let address = free_address()?;
    let settings = [(ENDPOINTS, &*endpoint(address, "threshold: 2"))];
    let mut api = Api::on_files(&settings)?;
    let mut pushed = push_blobs(&api, 5)?;
    api.push_image("app", "1", 100)?;
    wait::until("the tries fail", || {
        let series = "berth_event_delivery_failures_total{endpoint=\"hook\"}";
        Ok(api.metric(series)?.is_some_and(|failures| failures > 3.0))
    })?;
    for _ in 0..2 {
        api = api.restart(&settings)?;
    }
    api.push_image("app", "2", 100)?;
    // Pushed again is told again.
    pushed.extend(push_blobs(&api, 2)?);

    let receiver = Receiver::at(address)?;
    let events = receiver.wait_for(5 + 3 + 3 + 2)?;
    let short = in_short(&events);
    assert_eq!(short[..5], pushed[..5]);
    assert_eq!((&*short[7], &*short[10]), ("push app 1", "push app 2"));
    assert_eq!(short[11..], pushed[5..]);
    wait::until("all is delivered", || {
        let series = "berth_events_delivered_total{endpoint=\"hook\"}";
        Ok(api.metric(series)? == Some(13.0))
    })?;
    // Nothing is left for another start to tell.
    drop(api.restart(&settings)?);
    assert_eq!(receiver.events().len(), 13);
    Ok(())
}

#[test]
fn an_endpoint_that_fails_is_told_again_until_it_takes_the_event() -> Result<()> {
    let receiver = Receiver::start()?;
    receiver.answer(Answer::Status(500));
    let api = telling(&receiver, "threshold: 3")?;
    let pushed = push_blobs(&api, 3)?;
    receiver.wait_for_requests(5)?;
    receiver.answer(Answer::Status(302));
    let events = receiver.wait_for(3)?;
    assert_eq!(in_short(&events), pushed);
    let requests = receiver.requests();
    let first = &requests[0].envelope["events"][0]["id"];
    for request in &requests[..5] {
        assert_eq!(request.envelope["events"][0]["id"], *first, "the first one comes again");
    }
    let failed = requests.iter().filter(|request| request.answered == Some(500)).count();
    for (series, expected) in [
        ("berth_event_delivery_failures_total{endpoint=\"hook\"}", failed as f64),
        ("berth_events_recorded_total{action=\"push\"}", 3.0),
        ("berth_events_delivered_total{endpoint=\"hook\"}", 3.0),
    ] {
        wait::until(series, || Ok(api.metric(series)? == Some(expected)))?;
    }
    Ok(())
}

#[test]
fn an_endpoint_that_hangs_holds_up_nobody() -> Result<()> {
    let (slow, quick) = (Receiver::start()?, Receiver::start()?);
    slow.answer(Answer::Held);
    let endpoints = format!(
        "[{{name: slow, url: 'http://{}/', timeout: 1h}}, {{name: quick, url: 'http://{}/'}}]",
        slow.address(),
        quick.address()
    );
    let api = Api::on_files(&[(ENDPOINTS, &endpoints)])?;
    let pushed = push_blobs(&api, 20)?;
    api.expect_blob("app", &Blob::random(3, 100))?;
    assert_eq!(in_short(&quick.wait_for(21)?[..20]), pushed);
    slow.wait_for_requests(1)?;
    assert_eq!(slow.requests().len(), 1, "one at a time");
    assert!(slow.events().is_empty());
    slow.answer(Answer::Status(200));
    assert_eq!(in_short(&slow.wait_for(21)?[..20]), pushed);
    Ok(())
}

#[test]
fn a_stop_does_not_wait_for_an_endpoint_that_hangs() -> Result<()> {
    let receiver = Receiver::start()?;
    receiver.answer(Answer::Held);
    let setting = endpoint(receiver.address(), "timeout: 1h");
    let api = Api::on_files(&[(ENDPOINTS, &setting)])?;
    let pushed = push_blobs(&api, 3)?;
    receiver.wait_for_requests(1)?;
    // This would take an hour.
    let api = api.restart(&[(ENDPOINTS, &setting)])?;
    receiver.answer(Answer::Status(200));
    wait::until("all is delivered", || {
        let series = "berth_events_delivered_total{endpoint=\"hook\"}";
        Ok(api.metric(series)? == Some(3.0))
    })?;
    let events = in_short(&receiver.events());
    // The request that was given up may have been taken all the same.
    assert_eq!(events[events.len() - 3..], pushed);
    Ok(())
}

#[test]
fn what_an_endpoint_ignores_is_not_recorded_for_it() -> Result<()> {
    let receiver = Receiver::start()?;
    let ignore =
        "ignoredmediatypes: [application/octet-stream], ignore: {actions: [pull], mediatypes: [x]}";
    let api = telling(&receiver, ignore)?;
    api.push_image("app", "1", 1)?;
    api.get("/v2/app/manifests/1")?.expect(200)?;
    api.delete("/v2/app/manifests/1")?.expect(202)?;
    assert_eq!(in_short(&receiver.wait_for(2)?), ["push app 1", "delete app 1"]);
    assert_eq!(api.metric("berth_events_recorded_total{action=\"push\"}")?, Some(1.0));
    assert_eq!(api.metric("berth_events_recorded_total{action=\"pull\"}")?, None);
    Ok(())
}

#[test]
fn an_endpoint_is_told_from_its_first_start_on() -> Result<()> {
    let receiver = Receiver::start()?;
    let api = Api::on_files(&[])?;
    push_blobs(&api, 3)?;
    assert_eq!(api.metric("berth_events_recorded_total{action=\"push\"}")?, None);
    let disabled = endpoint(receiver.address(), "disabled: true");
    let api = api.restart(&[(ENDPOINTS, &disabled)])?;
    push_blobs(&api, 3)?;
    let api = api.restart(&[(ENDPOINTS, &endpoint(receiver.address(), ""))])?;
    api.push_image("app", "1", 1)?;
    assert_eq!(in_short(&receiver.wait_for(3)?)[2], "push app 1");
    assert_eq!(receiver.events().len(), 3);
    Ok(())
}

#[test]
fn what_waits_too_long_is_dropped_and_counted() -> Result<()> {
    for (limit, value, reason, left) in [
        ("REGISTRY_NOTIFICATIONS_EVENTS_MAXPENDING", "3", "number", 3),
        ("REGISTRY_NOTIFICATIONS_EVENTS_KEEP", "1ns", "age", 0),
    ] {
        let address = free_address()?;
        let setting = endpoint(address, "threshold: 1");
        let api = Api::on_files(&[(ENDPOINTS, &setting)])?;
        let pushed = push_blobs(&api, 10)?;
        let api = api.restart(&[(ENDPOINTS, &setting), (limit, value)])?;
        let series = format!("berth_events_dropped_total{{endpoint=\"hook\",reason=\"{reason}\"}}");
        let dropped = Some((10 - left) as f64);
        wait::until(&series, || Ok(api.metric(&series)? == dropped))?;
        let api = api.restart(&[(ENDPOINTS, &setting)])?;
        let series = "berth_events_pending{endpoint=\"hook\"}";
        wait::until(series, || Ok(api.metric(series)? == Some(left as f64)))?;
        let receiver = Receiver::at(address)?;
        api.push_image("app", "1", 100)?;
        let events = in_short(&receiver.wait_for(left + 3)?);
        assert_eq!(events[..left], pushed[10 - left..]);
    }
    Ok(())
}

#[test]
fn urls_are_those_that_clients_see() -> Result<()> {
    let receiver = Receiver::start()?;
    let setting = endpoint(receiver.address(), "");
    let blob = Blob::random(1, 100);
    let push = post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).body(&*blob.bytes);
    let proxied = push
        .clone()
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "registry.example.org")
        .header("X-Forwarded-For", "192.0.2.7, 10.0.0.1");
    let api = Api::in_memory(&[(ENDPOINTS, &setting)])?;
    api.send(&proxied)?.expect(201)?;
    let event = receiver.wait_for(1)?.remove(0);
    let path = format!("/v2/app/blobs/{}", blob.digest);
    assert_eq!(event["target"]["url"], format!("https://registry.example.org{path}"));
    assert_eq!(event["request"]["addr"], "192.0.2.7");
    let host = ("REGISTRY_HTTP_HOST", "https://pulls.example.org:444/");
    let api = Api::in_memory(&[(ENDPOINTS, &setting), host])?;
    api.send(&push)?.expect(201)?;
    let event = receiver.wait_for(2)?.remove(1);
    assert_eq!(event["target"]["url"], format!("https://pulls.example.org:444{path}"));
    Ok(())
}
