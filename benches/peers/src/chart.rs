//! The chart: strongroom's figures as multiples of the best peer's, on a logarithmic scale.

use std::fmt::Write as _;

use crate::{
    contestant::Role,
    report::grouped,
    results::{FIGURES, Part, Results},
};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 78.0;
const BAR: f64 = 11.0;
const GAP: f64 = 9.0;

/// One for each number of secrets.
const COLOURS: &[&str] = &["#9ecae1", "#4292c6", "#08519c", "#08306b"];

/// Bars of one workload: by number of secrets how many times better strongroom is, and than whom.
struct Row {
    title: String,
    bars: Vec<(usize, f64, &'static str)>,
}

/// An SVG picture with its own white ground, so that it reads in light and dark surroundings.
pub fn svg(results: &Results, host: &str) -> String {
    let rows = rows(results);
    let sizes = results.sizes();
    let bars: usize = rows.iter().map(|row| row.bars.len()).sum();
    let height = TOP + bars as f64 * BAR + rows.len() as f64 * GAP + 40.0;
    let scale = Scale::of(&rows);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n\
         <title>Strongroom against the best peer</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"16\" font-weight=\"bold\">Strongroom against the best \
         peer: how many times better</text>\n"
    );
    let _ = writeln!(
        svg,
        "<text x=\"12\" y=\"42\" font-size=\"9\" fill=\"#666\">{}</text>",
        escaped(host)
    );
    legend(&mut svg, &sizes);
    axis(&mut svg, &scale, height - 30.0);
    let mut y = TOP + GAP;
    for row in &rows {
        let middle = y + row.bars.len() as f64 * BAR / 2.0 + 4.0;
        let title = escaped(&row.title);
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{title}</text>",
            LEFT - 10.0
        );
        for (secrets, ratio, peer) in &row.bars {
            bar(&mut svg, &scale, (y, *ratio), (colour(&sizes, *secrets), peer));
            y += BAR;
        }
        y += GAP;
    }
    // Last, so that it is seen on the bars.
    let one = scale.x(1.0);
    let _ = writeln!(
        svg,
        "<line x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{TOP}\" y2=\"{:.1}\" stroke=\"#222\"/>\n</svg>",
        height - 30.0
    );
    svg
}

fn rows(results: &Results) -> Vec<Row> {
    let mut rows = Vec::new();
    for figure in FIGURES.iter().filter(|figure| figure.compared) {
        let compared = |secrets| {
            let peer = results.compare(secrets, figure, Role::Peer)?;
            peer.ratio.is_finite().then_some((secrets, peer.ratio, peer.other.key))
        };
        let bars: Vec<_> = results.sizes().into_iter().filter_map(compared).collect();
        let sustained = if figure.part == Part::Sustained { ", sustained" } else { "" };
        if !bars.is_empty() {
            rows.push(Row { title: format!("{}{sustained}", figure.title), bars });
        }
    }
    rows
}

/// From ratios to places.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// Whole powers of two, with 1 and everything else in it, up to 32 times better or worse: a longer
    /// bar ends there, and its number tells the rest.
    fn of(rows: &[Row]) -> Self {
        let ratios =
            || rows.iter().flat_map(|row| &row.bars).map(|(_, ratio, _)| ratio.max(1e-3).log2());
        Self {
            low: ratios().fold(-1.0, f64::min).floor().max(-5.0),
            high: ratios().fold(1.0, f64::max).ceil().min(5.0),
        }
    }

    fn x(&self, ratio: f64) -> f64 {
        let power = ratio.max(1e-3).log2().clamp(self.low, self.high);
        let part = (power - self.low) / (self.high - self.low);
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }
}

fn legend(svg: &mut String, sizes: &[usize]) {
    let mut x = LEFT;
    for secrets in sizes {
        let (colour, title) = (colour(sizes, *secrets), grouped(*secrets as f64));
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"53\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"62\">{title} secrets</text>",
            x + 15.0
        );
        x += 130.0;
    }
}

fn axis(svg: &mut String, scale: &Scale, bottom: f64) {
    let mut power = scale.low;
    while power <= scale.high {
        let ratio = power.exp2();
        let x = scale.x(ratio);
        let text =
            if ratio < 1.0 { format!("1/{:.0}", 1.0 / ratio) } else { format!("{ratio:.0}") };
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}\u{d7}</text>",
            bottom + 16.0
        );
        power += 1.0;
    }
}

fn bar(svg: &mut String, scale: &Scale, (y, ratio): (f64, f64), (colour, peer): (&str, &str)) {
    let (from, to) = (scale.x(ratio.min(1.0)), scale.x(ratio.max(1.0)));
    let (width, text, height) = (to - from, y + BAR - 3.0, BAR - 1.5);
    let _ = writeln!(
        svg,
        "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{text:.1}\" font-size=\"8.5\">{ratio:.2} {}</text>",
        to + 4.0,
        escaped(peer)
    );
}

fn colour(sizes: &[usize], secrets: usize) -> &'static str {
    let at = sizes.iter().position(|size| *size == secrets).unwrap_or(0);
    COLOURS.get(at).or(COLOURS.last()).copied().unwrap_or("#888")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores;

    #[test]
    fn it_is_well_formed_and_each_bar_begins_or_ends_at_one() {
        let mut results = Results::default();
        for (entrant, value) in stores::ALL.iter().zip(1..) {
            for secrets in [1_000, 10_000] {
                results.add(secrets, "get 1", entrant, f64::from(value * 100));
                results.add(secrets, "cpu", entrant, f64::from(value));
            }
        }
        let svg = svg(&results, "a <fast> & new machine");
        assert_eq!(balance(&svg), Ok(()), "{svg}");
        assert!(svg.contains("a &lt;fast&gt; &amp; new machine"));
        let scale = Scale { low: -1.0, high: 3.0 };
        assert!((scale.x(0.5) - LEFT).abs() < 1e-9);
        assert!((scale.x(8.0) - (WIDTH - RIGHT)).abs() < 1e-9);
        assert!((scale.x(0.001) - LEFT).abs() < 1e-9, "a long bar ends at the edge");
        assert_eq!(balance("<a><b></a></b>"), Err("a".to_owned()));
        assert_eq!(balance("<a x=\"1\"/><b>"), Err("b".to_owned()));
    }

    /// Whether every element that opens closes, in order; else the name of one that does not.
    fn balance(text: &str) -> Result<(), String> {
        let mut open: Vec<&str> = Vec::new();
        for tag in text.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap_or("");
            let name = tag.split(' ').next().unwrap_or("");
            if let Some(name) = tag.strip_prefix('/') {
                if open.pop() != Some(name) {
                    return Err(name.to_owned());
                }
            } else if !tag.ends_with('/') {
                assert!(tag.matches('"').count() % 2 == 0, "{tag}");
                open.push(name);
            }
        }
        open.pop().map_or(Ok(()), |name| Err(name.to_owned()))
    }
}
