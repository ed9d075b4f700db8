//! `--format` of lists: a template for each row, with a head where it begins with `table`.

use serde_json::Value;

use super::{Template, TemplateError};

/// A cell of a table has at least this many letters, the space after it included.
const NARROWEST: usize = 10;
const SPACE: usize = 3;

/// How the rows of a list are shown.
#[derive(Debug)]
pub struct Format {
    template: Template,
    is_table: bool,
}

impl Format {
    /// Reads the value of `--format`. `table` alone, and nothing, is the table of `default`; `json` is
    /// everything there is of each row.
    ///
    /// # Errors
    ///
    /// In Go's words, what is wrong with it.
    pub fn parse(text: &str, default: &str) -> Result<Self, TemplateError> {
        let text = match text {
            "" | "table" => default,
            "json" => "{{json .}}",
            text => text,
        };
        let (is_table, text) = match text.strip_prefix("table ") {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        // As people write them in a shell.
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        Ok(Self { template: Template::parse(&text)?, is_table })
    }

    /// Shows the rows, each a map; `head` has the name of each member's column.
    ///
    /// # Errors
    ///
    /// In Go's words, what the template wants to know of a row and is not there.
    pub fn render(
        &self,
        head: &Value,
        rows: impl IntoIterator<Item = Value>,
    ) -> Result<String, TemplateError> {
        let mut text = String::new();
        if self.is_table {
            text.push_str(&self.template.render(head)?);
            text.push('\n');
        }
        for row in rows {
            text.push_str(&self.template.render(&row)?);
            text.push('\n');
        }
        Ok(if self.is_table { align(&text) } else { text })
    }
}

/// Lines with tabs between their cells, with spaces in place of them so that cells are below each
/// other.
#[must_use]
pub fn align(text: &str) -> String {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        // The last cell of a line ends where it ends.
        for (at, cell) in row.iter().take(row.len() - 1).enumerate() {
            let width = (cell.chars().count() + SPACE).max(NARROWEST);
            match widths.get_mut(at) {
                Some(known) => *known = width.max(*known),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for row in rows {
        let last = row.len() - 1;
        for (at, cell) in row.into_iter().enumerate() {
            out.push_str(cell);
            if at < last {
                out.extend(std::iter::repeat_n(' ', widths[at] - cell.chars().count()));
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_below_each_other() {
        let format = Format::parse("", "table {{.Driver}}\t{{.Name}}").unwrap();
        let head = json!({"Driver": "DRIVER", "Name": "VOLUME NAME"});
        let rows =
            [json!({"Driver": "local", "Name": "a"}), json!({"Driver": "elsewhere", "Name": "b"})];
        assert_eq!(
            format.render(&head, rows).unwrap(),
            "DRIVER      VOLUME NAME\nlocal       a\nelsewhere   b\n"
        );
    }

    #[test]
    fn without_the_word_there_is_no_head() {
        let rows = || [json!({"Name": "a"}), json!({"Name": "b"})];
        let render = |text| Format::parse(text, "").unwrap().render(&json!({}), rows()).unwrap();
        assert_eq!(render(r"{{.Name}}\t."), "a\t.\nb\t.\n");
        assert_eq!(render("json"), "{\"Name\":\"a\"}\n{\"Name\":\"b\"}\n");
    }
}
