//! The table, in Markdown.

use std::fmt::Write as _;

use crate::{
    contestant::{Entrant, Role},
    results::{FIGURES, Figure, Part, Results, Unit},
    stores,
};

const PARTS: &[(Part, &str)] = &[
    (Part::Reads, "Reading"),
    (Part::Writes, "Writing, on stable storage when the call returns; a second"),
    (Part::Sustained, "Rotating without a pause, checkpoints and background work inside"),
    (Part::Rest, "Opening (seconds), memory beyond caches, disk after loading"),
];

/// The whole report: one section for each number of secrets.
pub fn markdown(results: &Results, host: &str, run: &str) -> String {
    let mut text = format!(
        "# Strongroom beside other embedded stores, on the same work\n\n{host}.\n\n{run}\n\n\
         How each was run, and how to read this: [README.md](../README.md).\n"
    );
    for secrets in results.sizes() {
        let _ = writeln!(text, "\n## {} secrets", grouped(secrets as f64));
        comparison(&mut text, results, secrets);
        for (part, title) in PARTS {
            table(&mut text, results, secrets, (*part, title));
        }
    }
    text.push_str("\n## How each was run\n\n| | |\n| --- | --- |\n");
    for entrant in stores::ALL {
        let _ = writeln!(text, "| {} | {} |", entrant.title, entrant.done);
    }
    text
}

/// Strongroom beside the best peer and the bound.
fn comparison(text: &mut String, results: &Results, secrets: usize) {
    let ours = stores::ALL.iter().find(|entrant| entrant.role == Role::Ours);
    text.push_str(
        "\n| | strongroom | best peer | times better | bound | of the bound |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for figure in FIGURES.iter().filter(|figure| figure.compared) {
        let own = ours.and_then(|entrant| results.get(secrets, figure, entrant));
        let Some(own) = own else { continue };
        let what = match figure.part {
            Part::Sustained => format!("{}, sustained", figure.title),
            Part::Reads | Part::Writes | Part::Rest => figure.title.to_owned(),
        };
        let _ = write!(text, "| {what} | {} |", shown(figure, own));
        match results.compare(secrets, figure, Role::Peer) {
            Some(peer) => {
                let best = shown(figure, peer.figure);
                let _ = write!(text, " {best} ({}) | **{:.2}** |", peer.other.key, peer.ratio);
            }
            None => text.push_str(" - | - |"),
        }
        match results.compare(secrets, figure, Role::Bound) {
            Some(bound) => {
                let _ = writeln!(text, " {} | {:.2} |", shown(figure, bound.figure), bound.ratio);
            }
            None => text.push_str(" - | - |\n"),
        }
    }
}

fn table(text: &mut String, results: &Results, secrets: usize, (part, title): (Part, &str)) {
    let row = |entrant: &'static Entrant| -> Vec<Option<f64>> {
        let figures = FIGURES.iter().filter(|figure| figure.part == part);
        figures.map(|figure| results.get(secrets, figure, entrant)).collect()
    };
    let rows: Vec<_> = stores::ALL.iter().map(|entrant| (entrant, row(entrant))).collect();
    let filled = |at: usize| rows.iter().any(|(_, row)| row.get(at).is_some_and(Option::is_some));
    let figures = FIGURES.iter().filter(|figure| figure.part == part);
    let columns: Vec<(usize, &Figure)> =
        figures.enumerate().filter(|(at, _)| filled(*at)).collect();
    if columns.is_empty() {
        return;
    }
    let _ = write!(text, "\n{title}:\n\n| |");
    for (_, figure) in &columns {
        let _ = write!(text, " {} |", figure.title);
    }
    let _ = writeln!(text, "\n| --- |{}", " --- |".repeat(columns.len()));
    for (entrant, row) in rows.iter().filter(|(_, row)| row.iter().any(Option::is_some)) {
        let _ = write!(text, "| {} |", entrant.title);
        for (at, figure) in &columns {
            let cell = row.get(*at).copied().flatten();
            let _ =
                write!(text, " {} |", cell.map_or("-".to_owned(), |value| shown(figure, value)));
        }
        text.push('\n');
    }
}

/// A figure as a person reads it.
pub fn shown(figure: &Figure, value: f64) -> String {
    match figure.unit {
        Unit::PerSecond if value >= 999_500.0 => format!("{:.2} M", value / 1e6),
        Unit::PerSecond if value >= 99_950.0 => format!("{:.0} k", value / 1e3),
        Unit::PerSecond if value >= 9_995.0 => format!("{:.1} k", value / 1e3),
        Unit::PerSecond | Unit::Bytes => grouped(value),
        Unit::Micros if value < 99.5 => format!("{value:.1}"),
        Unit::Micros => grouped(value),
        Unit::Seconds => format!("{value:.3}"),
    }
}

/// With a comma at each third digit.
pub fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_their_unit() {
        let figure = |unit| Figure { key: "", title: "", unit, part: Part::Reads, compared: true };
        let cases = [
            (Unit::PerSecond, 1_234_567.0, "1.23 M"),
            (Unit::PerSecond, 999_499.0, "999 k"),
            (Unit::PerSecond, 123_456.0, "123 k"),
            (Unit::PerSecond, 12_345.0, "12.3 k"),
            (Unit::PerSecond, 1_234.4, "1,234"),
            (Unit::Micros, 0.4, "0.4"),
            (Unit::Micros, 1_234.0, "1,234"),
            (Unit::Seconds, 0.0312, "0.031"),
            (Unit::Bytes, 1_000_000.0, "1,000,000"),
        ];
        for (unit, value, want) in cases {
            assert_eq!(shown(&figure(unit), value), want);
        }
    }

    #[test]
    fn tables_have_as_many_cells_in_each_row_and_no_empty_column() {
        let mut results = Results::default();
        for (entrant, value) in stores::ALL.iter().zip(1..) {
            results.add(1_000, "get 1", entrant, f64::from(value));
        }
        results.add(1_000, "version", &stores::ALL[0], 7.0);
        let text = markdown(&results, "a machine", "a run");
        let reading = text.split("Reading:\n\n").nth(1).unwrap().split("\n\n").next().unwrap();
        let rows: Vec<&str> = reading.lines().collect();
        assert_eq!(rows.len(), stores::ALL.len() + 2);
        assert!(rows.iter().all(|row| row.matches('|').count() == 4), "{reading}");
        assert!(!text.contains("Writing"));
    }
}
