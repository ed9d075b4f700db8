//! Reads the JUnit reports of the suites, each of which writes a dialect of its own.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use roxmltree::{Document, Node};

/// What a suite says of each of its tests.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    pub(crate) skipped: Vec<Case>,
    /// Also whatever is reported in words we do not know.
    pub(crate) failed: Vec<Case>,
}

/// A test that did not pass.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) message: String,
}

impl Report {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("the suite wrote no {}", path.display()))?;
        let document = Document::parse(&text)?;
        let mut report = Self::default();
        for node in document.descendants().filter(|node| node.has_tag_name("testcase")) {
            report.add(node);
        }
        Ok(report)
    }

    fn add(&mut self, node: Node<'_, '_>) {
        let child = |name| node.children().find(|child| child.has_tag_name(name));
        let case = |reason: Option<Node<'_, '_>>| Case {
            name: node.attribute("name").unwrap_or("a test without a name").to_owned(),
            message: reason.or_else(|| child("system-out")).map(words).unwrap_or_default(),
        };
        let failure = child("failure").or_else(|| child("error"));
        match (node.attribute("status"), failure, child("skipped")) {
            (None | Some("passed"), None, None) => self.passed += 1,
            (None | Some("skipped"), None, skipped) => self.skipped.push(case(skipped)),
            (_, failure, _) => self.failed.push(case(failure)),
        }
    }
}

fn words(node: Node<'_, '_>) -> String {
    [node.attribute("message"), node.text()].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

#[test]
fn every_dialect_is_understood() -> Result<()> {
    let path = tempfile::NamedTempFile::new()?;
    fs::write(
        path.path(),
        r#"<testsuites><testsuite>
            <testcase name="a"/>
            <testcase name="b" status="passed"><system-err>noise</system-err></testcase>
            <testcase name="c" status="skipped"><system-out>why</system-out></testcase>
            <testcase name="d"><skipped message="because"></skipped></testcase>
            <testcase name="e" status="failure"><system-out>wrong</system-out></testcase>
            <testcase name="f"><failure type="Failure">worse</failure></testcase>
            <testcase name="g" status="interrupted"/>
        </testsuite></testsuites>"#,
    )?;
    let report = Report::read(path.path())?;
    let said = |cases: &[Case]| {
        cases.iter().map(|case| format!("{}:{}", case.name, case.message)).collect::<Vec<_>>()
    };
    assert_eq!(report.passed, 2);
    assert_eq!(said(&report.skipped), ["c:why", "d:because"]);
    assert_eq!(said(&report.failed), ["e:wrong", "f:worse", "g:"]);
    Ok(())
}
