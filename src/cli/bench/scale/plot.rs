//! The plot: CPU microseconds an event, a panel for each thing that was changed, a line for each sink.

use std::fmt::Write as _;

use super::{By, Point, RUNS};

/// Of a panel, in SVG's units.
const WIDTH: f64 = 230.0;
const HEIGHT: f64 = 180.0;
/// Around a panel: room for its words.
const MARGIN: f64 = 48.0;
/// The sinks and their colours.
const SINKS: [(&str, &str); 2] = [("Elasticsearch", "#0b7285"), ("Redis", "#c92a2a")];

/// An SVG document.
pub(super) fn svg(points: &[Point]) -> String {
    let most = points.iter().map(|p| p.cpu_us).fold(1.0, f64::max);
    // To the next whole 2, so that the grid has round numbers.
    let top = (most / 2.0).ceil() * 2.0;
    let (across, down) = (MARGIN + WIDTH, HEIGHT + 2.0 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{down:.0}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        across * RUNS.len() as f64 + MARGIN
    );
    for (n, (by, values)) in RUNS.into_iter().enumerate() {
        let left = MARGIN + n as f64 * across;
        panel(&mut out, points, by, values, left, top);
    }
    for (n, (sink, colour)) in SINKS.into_iter().enumerate() {
        let x = MARGIN + n as f64 * 110.0;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"10\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"19\">{sink}</text>",
            x + 14.0
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"19\">CPU µs of twolane an event</text>\n</svg>",
        MARGIN + 250.0
    );
    out
}

fn panel(out: &mut String, points: &[Point], by: By, values: &[u32], left: f64, top: f64) {
    let y = |cpu: f64| MARGIN + HEIGHT * (1.0 - cpu / top);
    let x = |at: usize| left + WIDTH * (at as f64 + 0.5) / values.len().max(1) as f64;
    for step in 0..=4 {
        let cpu = top * f64::from(step) / 4.0;
        let _ = writeln!(
            out,
            "<line x1=\"{left}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" \
             text-anchor=\"end\">{cpu:.1}</text>",
            left + WIDTH,
            left - 5.0,
            y(cpu) + 4.0,
            y = y(cpu)
        );
    }
    for (at, value) in values.iter().enumerate() {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value}</text>",
            x(at),
            MARGIN + HEIGHT + 16.0
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-weight=\"bold\">{}</text>",
        left + WIDTH / 2.0,
        MARGIN + HEIGHT + 34.0,
        by.name()
    );
    for (sink, colour) in SINKS {
        let mut line = String::new();
        for (at, value) in values.iter().enumerate() {
            let point = points
                .iter()
                .find(|p| p.by == by && p.value == *value && p.sink == sink);
            if let Some(point) = point {
                let (x, y) = (x(at), y(point.cpu_us));
                let _ = write!(line, "{x:.1},{y:.1} ");
                let _ = writeln!(
                    out,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
                );
            }
        }
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.trim_end()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_in_the_plot() {
        let point = |value, sink, cpu_us| Point {
            by: By::Workers,
            value,
            sink,
            events_per_s: 1.0,
            cpu_us,
            rss_mb: 1.0,
        };
        let drawn = svg(&[
            point(1, "Redis", 3.0),
            point(2, "Redis", 5.0),
            point(4, "Elasticsearch", 4.0),
        ]);
        assert_eq!(drawn.matches("<circle").count(), 3);
        // The grid ends at the next round number.
        assert!(drawn.contains(">6.0</text>"), "{drawn}");
        assert!(drawn.ends_with("</svg>\n"));
    }
}
