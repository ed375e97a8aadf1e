//! SQL text as it stands on the page, so that an error in it points into the file.

use super::Reading;
use crate::pipeline::Sql;
use crate::yaml::{Mark, Scalar, Style};

impl Reading<'_> {
    /// YAML folds the lines of a plain and of a `>` scalar into one. To SQL a line break is a space, so the breaks are
    /// kept: errors are placed exactly, and a `--` comment ends where its line does.
    pub(super) fn sql(&self, mark: Mark, scalar: &Scalar) -> Sql {
        let page = match scalar.style {
            Style::Quoted => None,
            Style::Literal => self.literal(mark, scalar),
            Style::Folded => self.folded(mark, scalar),
            Style::Plain => self.plain(mark, scalar),
        };
        match page {
            Some((text, lines)) => {
                let first = lines.iter().zip(text.split('\n')).find(|(_, line)| !line.trim().is_empty());
                let (line, column) = first.map_or((mark.line, mark.column), |(at, _)| *at);
                Sql { text, place: self.place(Mark { line, column }), lines }
            }
            None => Sql { text: scalar.text.clone(), place: self.place(mark), lines: Vec::new() },
        }
    }

    /// The parser marks a block scalar at its first line that is not empty, behind the indentation.
    fn literal(&self, mark: Mark, scalar: &Scalar) -> Option<(String, Vec<(usize, usize)>)> {
        let text = scalar.text.trim_end_matches('\n');
        let leading = text.len() - text.trim_start_matches('\n').len();
        let first = mark.line.checked_sub(leading)?;
        let lines: Vec<_> = (0..=text.matches('\n').count()).map(|i| (first + i, mark.column)).collect();
        let page = lines.iter().map(|&(line, column)| self.rest_of(line, column)).collect::<Option<Vec<_>>>()?;
        (page.join("\n") == text).then(|| (text.to_owned(), lines))
    }

    fn folded(&self, mark: Mark, scalar: &Scalar) -> Option<(String, Vec<(usize, usize)>)> {
        let mut page = Vec::new();
        let mut lines = Vec::new();
        for line in mark.line..=self.lines.len() {
            let text = self.lines.get(line - 1)?;
            let indent = text.chars().take_while(|c| *c == ' ').count();
            if !text.trim().is_empty() && indent + 1 < mark.column {
                break;
            }
            page.push(self.rest_of(line, mark.column)?);
            lines.push((line, mark.column));
        }
        faithful(page, lines, scalar)
    }

    fn plain(&self, mark: Mark, scalar: &Scalar) -> Option<(String, Vec<(usize, usize)>)> {
        // An anchor or a tag would stand between the mark and the text.
        if mark.line == scalar.end.line {
            let is_whole = scalar.text.chars().count() == scalar.end.column.saturating_sub(mark.column);
            return is_whole.then(|| (scalar.text.clone(), vec![(mark.line, mark.column)]));
        }
        let mut page = Vec::new();
        let mut lines = Vec::new();
        for line in mark.line..=scalar.end.line {
            let text = *self.lines.get(line - 1)?;
            let text = if line == scalar.end.line { until(text, scalar.end.column) } else { text };
            let column = if line == mark.line {
                mark.column
            } else {
                text.chars().take_while(|c| matches!(c, ' ' | '\t')).count() + 1
            };
            page.push(text.get(offset_of(text, column)?..)?.trim_end().to_owned());
            lines.push((line, column));
        }
        faithful(page, lines, scalar)
    }

    /// From a column on; nothing where the line is shorter.
    fn rest_of(&self, line: usize, column: usize) -> Option<String> {
        let text = self.lines.get(line.checked_sub(1)?)?;
        Some(text.chars().skip(column - 1).collect())
    }
}

/// The page's lines, where they are what the parser read.
fn faithful(page: Vec<String>, lines: Vec<(usize, usize)>, scalar: &Scalar) -> Option<(String, Vec<(usize, usize)>)> {
    let mut text = page.join("\n");
    text.truncate(text.trim_end().len());
    let mut lines = lines;
    lines.truncate(text.matches('\n').count() + 1);
    text.split_whitespace().eq(scalar.text.split_whitespace()).then_some((text, lines))
}

/// What stands before a column.
fn until(text: &str, column: usize) -> &str {
    offset_of(text, column).map_or(text, |offset| &text[..offset])
}

/// Bytes before a column; `None` where the line is shorter.
fn offset_of(text: &str, column: usize) -> Option<usize> {
    let ends = std::iter::once(text.len());
    text.char_indices().map(|(offset, _)| offset).chain(ends).nth(column - 1)
}
