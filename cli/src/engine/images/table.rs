//! Rows of text under a head, as docker writes them.

use std::io::Write as _;

use anyhow::Result;

/// How wide a column is at least, its space included.
const LEAST: usize = 10;

/// How much space is between two columns at least.
const SPACE: usize = 3;

/// Writes a table to the standard output.
pub(super) fn print(head: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let head: Vec<String> = head.iter().map(|&title| title.to_owned()).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = std::iter::once(&head).chain(rows);
            let longest = cells.map(|row| row[column].chars().count()).max().unwrap_or_default();
            LEAST.max(longest + SPACE)
        })
        .collect();
    let mut out = std::io::stdout().lock();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match column + 1 == row.len() {
                true => line.push_str(cell),
                false => line.push_str(&format!("{cell:<width$}")),
            }
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}
