//! How long a decision takes among 10,000 grants.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use berth_auth::{Holder, Memberships, Policy, Who};
use berth_oci::access::{Access, Effect, Grant, Role};
use criterion::{Criterion, criterion_group, criterion_main};

const GRANTS: usize = 10_000;

fn grant(subject: &str, repositories: &str) -> (Option<i64>, Grant) {
    let grant = Grant {
        effect: Effect::Allow,
        subject: subject.parse().unwrap(),
        role: Role::Writer,
        repositories: repositories.parse().unwrap(),
    };
    (None, grant)
}

fn holder() -> Holder {
    Holder::of(Who::Account("user-77".parse().unwrap()))
}

fn decisions(criterion: &mut Criterion) {
    let mut memberships = Memberships::default();
    for team in 0..10 {
        let team = format!("acme/team-{team}").parse().unwrap();
        memberships.add_team_member(&team, &"user-77".parse().unwrap());
    }
    let spread = (0..GRANTS).map(|at| match at % 2 {
        0 => grant(&format!("user:user-{}", at % 1_000), &format!("org-{at}/**")),
        _ => grant(&format!("team:acme/team-{}", at % 100), &format!("acme/app-{at}")),
    });
    let spread = Policy::new(spread, memberships);
    let one = (0..GRANTS).map(|at| grant("user:user-77", &format!("org-{at}/app-*")));
    let one = Policy::new(one, Memberships::default());
    for (name, policy, repository) in [
        ("spread over users and teams, allowed", &spread, "acme/app-4505"),
        ("spread over users and teams, denied", &spread, "acme/app-4506/part"),
        ("all for one user, allowed", &one, "org-9999/app-1"),
        ("all for one user, denied", &one, "org-9999/web/part"),
    ] {
        let holder = holder();
        criterion.bench_function(&format!("10,000 grants, {name}"), |bencher| {
            bencher.iter(|| policy.decide(black_box(&holder), Access::Pull, black_box(repository)));
        });
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
