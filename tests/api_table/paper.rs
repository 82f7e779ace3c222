//! The rows of `API.md`.

use std::fmt;

/// A row of a class's table, or of a table of what goes beyond PECL.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) line: usize,
    /// The section it is in.
    pub(crate) class: String,
    /// PHP's signature; nothing in a table of what goes beyond PECL.
    pub(crate) php: Option<String>,
    /// The paths of the Rust items.
    pub(crate) rust: Vec<String>,
    /// What shows it: a test or an example in the docs.
    pub(crate) shown: Vec<Proof>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "API.md:{}", self.line)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// `tests/event.rs::a_test`, or `src/event.rs::Event::detach` for an example.
    pub(crate) path: String,
    /// Whether it is an example that must not compile.
    pub(crate) compile_fail: bool,
}

const CLASS_TABLE: [&str; 4] = ["PHP", "Rust", "What differs, and why", "Shown by"];
const BEYOND_TABLE: [&str; 3] = ["Rust", "What it is for", "Shown by"];

/// Reads the rows of every section; a table of another form is a complaint.
pub(crate) fn rows(text: &str) -> Result<Vec<Row>, String> {
    let (mut rows, mut class, mut beyond) = (Vec::new(), String::new(), None);
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(heading) = text.strip_prefix("## ") {
            class = heading.trim_matches('`').to_owned();
        }
        let Some(cells) = cells(text).filter(|_| !class.is_empty()) else {
            beyond = None; // the table is over
            continue;
        };
        let cells = cells.iter().map(String::as_str).collect::<Vec<_>>();
        let Some(beyond) = beyond else {
            beyond = Some(match &cells[..] {
                header if header == CLASS_TABLE => false,
                header if header == BEYOND_TABLE => true,
                _ => return Err(format!("API.md:{line}: a table with other columns")),
            });
            continue;
        };
        if cells.iter().all(|cell| cell.starts_with("--")) {
            continue;
        }
        rows.push(row(line, &class, beyond, &cells)?);
    }
    Ok(rows)
}

fn row(line: usize, class: &str, beyond: bool, cells: &[&str]) -> Result<Row, String> {
    let wrong = |what: &str| Err(format!("API.md:{line}: {what}"));
    let (php, rest) = match (beyond, cells) {
        (false, [php, rest @ ..]) if rest.len() == 3 => (Some(*php), rest),
        (true, rest) if rest.len() == 3 => (None, rest),
        _ => return wrong("not as many cells as the table has columns"),
    };
    let php = match php.map(spans) {
        None => None,
        Some(spans) => match &spans[..] {
            [(signature, "")] => Some(signature.to_string()),
            _ => return wrong("one PHP signature to a row"),
        },
    };
    if rest[1].is_empty() {
        return wrong("nothing is said about what differs");
    }
    let proof = |(path, after): (&str, &str)| Proof {
        path: path.to_owned(),
        compile_fail: after.contains("(compile_fail)"),
    };
    Ok(Row {
        line,
        class: class.to_owned(),
        php,
        rust: spans(rest[0])
            .iter()
            .map(|(path, _)| path.to_string())
            .collect(),
        shown: spans(rest[2]).into_iter().map(proof).collect(),
    })
}

/// The cells of a line of a table; `\|` is a `|` within one.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let mut signs = inner.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' if signs.peek() == Some(&'|') => cell.extend(signs.next()),
            '|' => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            _ => cell.push(sign),
        }
    }
    cells.push(cell.trim().to_owned());
    Some(cells)
}

/// Each `…` of a cell, with the text up to the next one.
fn spans(cell: &str) -> Vec<(&str, &str)> {
    let parts = cell.split('`').skip(1).collect::<Vec<_>>();
    parts
        .chunks(2)
        .map(|pair| (pair[0], pair.get(1).copied().unwrap_or("")))
        .collect()
}
