//! Parts of blobs.

use anyhow::{Context, Result, ensure};
use berth_tests::content::Blob;
use berth_tests::wire::{Answer, get, head};

use crate::api::Api;

/// More than one window of what is handed to the kernel at a time.
const SIZE: usize = 5 << 20;

fn asked(api: &Api, blob: &Blob, range: &str) -> Result<Answer> {
    api.send(&get(format!("/v2/app/blobs/{}", blob.digest)).header("Range", range))
}

#[test]
fn one_range_is_served_as_that_part() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, SIZE);
        api.push_blob("app", &blob)?;
        let size = SIZE;
        for (range, first, end) in [
            ("bytes=0-0".to_owned(), 0, 1),
            ("bytes=10-19".to_owned(), 10, 20),
            ("bytes=100-4999999".to_owned(), 100, 5_000_000),
            (format!("bytes={}-", size - 1), size - 1, size),
            ("bytes=4000000-".to_owned(), 4_000_000, size),
            ("bytes=0-".to_owned(), 0, size),
            ("bytes=-1".to_owned(), size - 1, size),
            ("bytes=-100000".to_owned(), size - 100_000, size),
            ("bytes=-99999999999".to_owned(), 0, size),
            ("bytes=5-99999999999999999999999".to_owned(), 5, size),
            ("bytes = 7-8".to_owned(), 7, 9),
            ("bytes=99999999-,3-4".to_owned(), 3, 5),
        ] {
            let answer = asked(&api, &blob, &range)?.expect(206)?;
            let told = format!("bytes {first}-{}/{size}", end - 1);
            assert_eq!(answer.header("content-range")?, told, "{range}");
            assert_eq!(answer.header("docker-content-digest")?, blob.digest);
            assert_eq!(answer.header("etag")?, format!("\"{}\"", blob.digest));
            assert_eq!(answer.header("accept-ranges")?, "bytes");
            ensure!(answer.body == blob.bytes[first..end], "{range} gave other bytes");
        }
    }
    Ok(())
}

#[test]
fn many_ranges_are_served_apart_in_the_order_asked() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, SIZE);
        api.push_blob("app", &blob)?;
        let many: Vec<(usize, usize)> =
            (0..500).map(|n| (n * 10_000 + n, n * 10_000 + 900)).collect();
        for ranges in [vec![(0, 1), (5, 10)], vec![(4_000_000, 5_000_000), (0, 100_000)], many] {
            let list: Vec<String> =
                ranges.iter().map(|(first, end)| format!("{first}-{}", end - 1)).collect();
            let answer = asked(&api, &blob, &format!("bytes={}", list.join(", ")))?.expect(206)?;
            let parts = parts(&answer)?;
            assert_eq!(parts.len(), ranges.len());
            for ((told, bytes), (first, end)) in parts.into_iter().zip(ranges) {
                assert_eq!(told, format!("bytes {first}-{}/{SIZE}", end - 1));
                ensure!(bytes == blob.bytes[first..end], "{told} has other bytes");
            }
        }
    }
    Ok(())
}

/// The `Content-Range` and bytes of each part of a multipart answer.
fn parts(answer: &Answer) -> Result<Vec<(String, Vec<u8>)>> {
    let content_type = answer.header("content-type")?;
    let boundary =
        content_type.strip_prefix("multipart/byteranges; boundary=").context("boundary")?;
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let mut rest = &answer.body[..];
    let mut parts = Vec::new();
    loop {
        rest = rest.strip_prefix(&*delimiter).context("a part begins with the boundary")?;
        if rest == b"--\r\n" {
            return Ok(parts);
        }
        let head_end =
            rest.windows(4).position(|w| w == b"\r\n\r\n").context("a part has a head")?;
        let head = std::str::from_utf8(&rest[..head_end])?;
        let range =
            head.lines().find_map(|line| line.strip_prefix("Content-Range: ")).context("range")?;
        let (first, last) = range
            .trim_start_matches("bytes ")
            .split_once('/')
            .and_then(|(range, _)| range.split_once('-'))
            .context("a content range")?;
        let len = last.parse::<usize>()? + 1 - first.parse::<usize>()?;
        rest = &rest[head_end + 4..];
        ensure!(rest.len() > len, "a part is cut off");
        parts.push((range.to_owned(), rest[..len].to_vec()));
        rest = &rest[len..];
    }
}

#[test]
fn what_is_no_range_of_bytes_or_asks_too_much_gets_the_whole() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        api.push_blob("app", &blob)?;
        // The last one would be many times the blob.
        for range in ["", "items=0-1", "bytes", "bytes=0-,0-,0-"] {
            let answer = asked(&api, &blob, range)?.expect(200)?;
            ensure!(answer.body == blob.bytes, "{range}");
            assert_eq!(answer.find("content-range"), None);
        }
    }
    Ok(())
}

#[test]
fn ranges_outside_of_the_blob_are_refused_with_its_size() -> Result<()> {
    for api in Api::each() {
        let (blob, empty) = (Blob::random(1, 1000), Blob::new(""));
        for (blob, ranges) in [
            (&blob, &["bytes=1000-", "bytes=5000-6000", "bytes=-0", "bytes=2000-,3000-"][..]),
            (&blob, &["bytes=5-4", "bytes=a-b", "bytes=", "bytes=1", "bytes=0-1,x", "bytes=--1"]),
            (&empty, &["bytes=0-", "bytes=0-0", "bytes=-1"]),
        ] {
            api.push_blob("app", blob)?;
            for range in ranges {
                let answer = asked(&api, blob, range)?;
                let size = blob.bytes.len();
                assert_eq!(answer.header("content-range")?, format!("bytes */{size}"), "{range}");
                let message = answer.refusal(416, "RANGE_INVALID")?;
                ensure!(message.contains(&size.to_string()), "{message}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_range_holds_only_while_its_condition_does() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        api.push_blob("app", &blob)?;
        let target = format!("/v2/app/blobs/{}", blob.digest);
        for (condition, status) in [
            (format!("\"{}\"", blob.digest), 206),
            ("\"another\"".to_owned(), 200),
            (format!("W/\"{}\"", blob.digest), 200),
            ("Wed, 21 Oct 2015 07:28:00 GMT".to_owned(), 200),
        ] {
            let request = get(&target).header("Range", "bytes=5-9").header("If-Range", &condition);
            let answer = api.send(&request)?.expect(status)?;
            let expected = if status == 206 { &blob.bytes[5..10] } else { &blob.bytes };
            ensure!(answer.body == expected, "{condition}");
        }
    }
    Ok(())
}

#[test]
fn a_head_ignores_ranges() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        api.push_blob("app", &blob)?;
        let request = head(format!("/v2/app/blobs/{}", blob.digest)).header("Range", "bytes=0-1");
        let answer = api.send(&request)?.expect(200)?;
        assert_eq!(answer.header("content-length")?, "1000");
    }
    Ok(())
}
