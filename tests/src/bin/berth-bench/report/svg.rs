//! What the plots share.

use std::fmt::Write as _;

use crate::peers::{BERTH, DISTRIBUTION_2, DISTRIBUTION_3, NGINX, NGINX_CACHED};

/// A drawing on a white ground, readable on pages of any colour.
pub(super) struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

impl Drawing {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    pub(super) fn rect(&mut self, [x, y, width, height]: [f64; 4], colour: &str) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
        );
    }

    pub(super) fn line(&mut self, [x1, y1, x2, y2]: [f64; 4], colour: &str) {
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}"/>"#
        );
    }

    pub(super) fn path(&mut self, points: &[(f64, f64)], colour: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            self.body,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="1.5"/>"#,
            points.join(" ")
        );
    }

    /// `anchor` is start, middle or end.
    pub(super) fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        );
    }

    pub(super) fn finish(self) -> String {
        let Self { width, height, body } = self;
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="sans-serif" font-size="12" fill="#222222">
<rect width="100%" height="100%" fill="#ffffff"/>
{body}</svg>
"##
        )
    }
}

/// Each peer has the same colour in all plots; others take what is left.
pub(super) fn colour(peer: &str, index: usize) -> &'static str {
    const OTHERS: [&str; 4] = ["#0f766e", "#7c3aed", "#be185d", "#4d7c0f"];
    match peer {
        BERTH => "#1d4ed8",
        DISTRIBUTION_2 => "#d6a15c",
        DISTRIBUTION_3 => "#c2681b",
        NGINX => "#6b9e78",
        NGINX_CACHED => "#a9c9b1",
        _ => OTHERS[index % OTHERS.len()],
    }
}
