use berth_mirror::{MirrorStatus, UpstreamStatus};
use tokio::sync::mpsc;

use crate::Registry;
use crate::control::Told;

impl Registry {
    /// Tells what this process knows of its mirrors, in lines that a person reads.
    pub(crate) async fn tell_mirrors(&self, tell: &mpsc::Sender<Told>) {
        let mirrors = self.mirror.status();
        let mut lines = Vec::new();
        if mirrors.is_empty() {
            lines.push("there is no mirror (`proxy`, `mirrors`) in this process".to_owned());
        }
        for MirrorStatus { prefix, age, upstreams } in mirrors {
            lines.extend(
                upstreams.iter().map(|upstream| format!("{prefix}: {}", describe(upstream))),
            );
            if let Some(age) = age {
                let seconds = age.as_secs();
                lines.push(format!("{prefix}: an upstream last gave something {seconds} s ago"));
            }
        }
        let metrics = &self.metrics.mirror;
        lines.push(format!(
            "{} served from here, {} asked of upstreams, {} shared a fetch, {} served stale, {} bytes fetched; {} fetches go on",
            metrics.hits.get(),
            metrics.misses.get(),
            metrics.coalesced.get(),
            metrics.stale.get(),
            metrics.fetched_bytes.get(),
            self.mirror.manifests.len() + self.mirror.blobs.len(),
        ));
        for line in lines {
            // Whoever asked may have gone.
            let _ = tell.send(Told::Line(line)).await;
        }
    }
}

fn describe(status: &UpstreamStatus) -> String {
    let UpstreamStatus { upstream, requests_left, bytes_left, rate_limit } = status;
    let mut parts = Vec::new();
    if let Some(requests) = requests_left {
        parts.push(format!("the budget leaves {requests} requests"));
    }
    if let Some(bytes) = bytes_left {
        parts.push(format!("the budget leaves {bytes} bytes"));
    }
    if let Some(limit) = rate_limit {
        parts
            .push(format!("it says that {} of {} requests are left", limit.remaining, limit.limit));
    }
    match parts.is_empty() {
        true => format!("{upstream}, without limits that are known"),
        false => format!("{upstream}, {}", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use berth_client::RateLimit;

    use super::*;

    #[test]
    fn what_is_left_is_told_as_far_as_it_is_known() {
        let status = |requests_left, rate_limit| {
            let upstream = "hub.example.org".to_owned();
            describe(&UpstreamStatus { upstream, requests_left, bytes_left: None, rate_limit })
        };
        assert_eq!(status(None, None), "hub.example.org, without limits that are known");
        let limit = Some(RateLimit { limit: 100, remaining: 3, window: None });
        assert_eq!(
            status(Some(7), limit),
            "hub.example.org, the budget leaves 7 requests, it says that 3 of 100 requests are left"
        );
    }
}
