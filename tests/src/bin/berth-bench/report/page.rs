//! The page for people.

use std::fmt::Write as _;

use super::checks::{self, Check, number};
use super::{bars, lines};
use crate::peers::{NGINX_SETTINGS, REGISTRY_SETTINGS};
use crate::results::{Metric, Results, RowRun};
use crate::rows::Row;

pub(super) fn page(results: &Results) -> String {
    let mut text = String::from(
        "# Benchmarks\n\nWritten by `cargo xtask bench`, which measures Berth and its peers in one run, in turn; do not \
         edit it. Numbers are medians over rounds, with the least and the most in parentheses. A bar is *within noise* \
         when the medians miss it but the rounds of both sides overlap. Raw numbers: `results.csv`, `results.json`.\n",
    );
    if results.quick {
        text.push_str("\n**A quick run, to see that everything works: its numbers say little.**\n");
    }
    bars_table(&mut text, results);
    circumstances(&mut text, results);
    for row in Row::ALL {
        if let Some(run) = results.rows.get(row.name()) {
            section(&mut text, row, run);
        }
    }
    text
}

fn bars_table(text: &mut String, results: &Results) {
    text.push_str("\n## The bars\n\n| work | measured | bar | |\n|---|---|---|---|\n");
    for row in Row::ALL {
        let Some(run) = results.rows.get(row.name()) else {
            line(text, &[row.title(), "-", "-", "not measured"]);
            continue;
        };
        for Check { what, measured, bar, verdict } in checks::of(row, run) {
            let what = format!("{}: {what}", row.title());
            line(text, &[&what, &measured, &bar, verdict.word()]);
        }
    }
}

fn circumstances(text: &mut String, results: &Results) {
    let machine = &results.machine;
    let _ = write!(
        text,
        "\n## The machine and the peers\n\nOf the newest rows: each says when it was measured, with all its peers, \
         which may have been on another machine.\n\n- {} x {}, {} MiB of memory; {}, {}\n- disk: {}\n- {}\n- all servers and \
         clients on this machine, over loopback ({}, which Berth does not let pace what it sends to its own machine), without TLS but for its own row; CPU time is user and system time of all processes of a \
         server, the kernel's work for its sockets included\n- {REGISTRY_SETTINGS}\n- {NGINX_SETTINGS}\n",
        machine.cores,
        machine.processor,
        machine.memory_mib,
        machine.system,
        machine.kernel,
        machine.disk,
        machine.tools.join("; "),
        machine.congestion_control,
    );
    text.push_str("\n| peer | version |\n|---|---|\n");
    let mut peers: Vec<(&String, &String)> = results.peers.iter().collect();
    peers.sort_by_key(|(name, _)| crate::peers::rank(name));
    for (name, version) in peers {
        line(text, &[name, version]);
    }
}

fn section(text: &mut String, row: Row, run: &RowRun) {
    let _ = write!(text, "\n## {}\n\n", row.title());
    for setting in &run.settings {
        let _ = writeln!(text, "- {setting}");
    }
    for note in &run.notes {
        let _ = writeln!(text, "- {note}");
    }
    let _ = writeln!(
        text,
        "- began {}, took {:.0} s; load average before: {:.1}",
        run.began, run.seconds, run.load_before
    );
    // Cases with the same columns share a table.
    let mut groups: Vec<(Vec<Metric>, Vec<&str>)> = Vec::new();
    for case in run.cases() {
        let metrics = run.metrics(case);
        match groups.iter_mut().find(|(known, _)| *known == metrics) {
            Some((_, cases)) => cases.push(case),
            None => groups.push((metrics, vec![case])),
        }
    }
    for (metrics, cases) in groups {
        table(text, run, &metrics, &cases);
    }
    for plot in bars::plots(row, run) {
        let _ = write!(text, "\n![{}]({})\n", plot.title, plot.file);
    }
    if !run.series.is_empty() {
        let _ = write!(text, "\n![Resident memory over time]({})\n", lines::file(row));
    }
}

fn table(text: &mut String, run: &RowRun, metrics: &[Metric], cases: &[&str]) {
    let titles: Vec<&str> = metrics.iter().map(|metric| metric.title()).collect();
    let _ = write!(
        text,
        "\n| | | {} |\n|---|---|{}\n",
        titles.join(" | "),
        "---:|".repeat(titles.len())
    );
    for case in cases {
        for peer in run.peers() {
            let cells: Vec<String> =
                metrics.iter().map(|metric| cell(run, case, peer, *metric)).collect();
            if cells.iter().all(String::is_empty) {
                continue;
            }
            let mut all = vec![*case, peer];
            all.extend(cells.iter().map(String::as_str));
            line(text, &all);
        }
    }
}

fn cell(run: &RowRun, case: &str, peer: &str, metric: Metric) -> String {
    run.spread(case, peer, metric).map_or_else(String::new, |spread| {
        if spread.min == spread.max {
            return number(spread.median);
        }
        format!("{} ({} - {})", number(spread.median), number(spread.min), number(spread.max))
    })
}

fn line(text: &mut String, cells: &[&str]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}
