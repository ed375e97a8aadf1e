//! The curve of the growth benchmark, as text and as SVG.

use std::fmt::Write as _;

use super::statistics::thousands;

/// Events a second by number of groups.
pub struct Curve {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

/// Characters of the longest bar.
const WIDTH: f64 = 50.0;

/// A bar for each point.
pub fn text(curves: &[Curve]) -> String {
    let most = curves.iter().flat_map(|curve| &curve.points).map(|(_, rate)| *rate).fold(1.0, f64::max);
    let mut text = String::from("events/s by number of groups\n");
    let groups = curves.first().map(|curve| curve.points.as_slice()).unwrap_or_default();
    for (place, (groups, _)) in groups.iter().enumerate() {
        for curve in curves {
            let Some((_, rate)) = curve.points.get(place) else { continue };
            let bar = "#".repeat((rate / most * WIDTH).ceil() as usize);
            let _ = write!(text, "\n{:>10}  {:<7} {bar} {}", thousands(*groups), curve.name, thousands(*rate));
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

const LEFT: f64 = 90.0;
const RIGHT: f64 = 610.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 310.0;
const COLOURS: [&str; 2] = ["#1f77b4", "#d62728"];

/// Both axes are logarithmic.
pub fn svg(curves: &[Curve]) -> String {
    let all: Vec<(f64, f64)> = curves.iter().flat_map(|curve| curve.points.clone()).collect();
    let (least, most) = all.iter().fold((f64::MAX, 1.0), |(least, most), (x, _)| (x.min(least), x.max(most)));
    let (slowest, fastest) = all.iter().fold((f64::MAX, 1.0), |(least, most), (_, y)| (y.min(least), y.max(most)));
    let (low, high) = (slowest.log10().floor(), fastest.log10().ceil());
    let x = |groups: f64| LEFT + (groups / least).log10() / (most / least).log10().max(1.0) * (RIGHT - LEFT);
    let y = |rate: f64| BOTTOM - (rate.log10() - low) / (high - low).max(1.0) * (BOTTOM - TOP);
    let mut out = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 360\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"720\" height=\"360\" fill=\"white\"/>\n",
    );
    for decade in low as i32..=high as i32 {
        let (rate, at) = (10_f64.powi(decade), y(10_f64.powi(decade)));
        let _ = writeln!(out, "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>");
        let _ = writeln!(out, "<text x=\"82\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", at + 4.0, thousands(rate));
    }
    for (groups, _) in curves.first().map(|curve| curve.points.as_slice()).unwrap_or_default() {
        let label = thousands(*groups);
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"330\" text-anchor=\"middle\">{label}</text>", x(*groups));
    }
    out.push_str(
        "<text x=\"90\" y=\"18\">events/s</text>\n<text x=\"350\" y=\"350\" text-anchor=\"middle\">groups</text>\n",
    );
    for (curve, colour) in curves.iter().zip(COLOURS) {
        let places: Vec<String> = curve.points.iter().map(|(g, r)| format!("{:.1},{:.1}", x(*g), y(*r))).collect();
        let line = places.join(" ");
        let _ = writeln!(out, "<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        if let Some((groups, rate)) = curve.points.last() {
            let (at_x, at_y) = (x(*groups) + 8.0, y(*rate) + 4.0);
            let _ = writeln!(out, "<text x=\"{at_x:.1}\" y=\"{at_y:.1}\" fill=\"{colour}\">{}</text>", curve.name);
        }
    }
    out.push_str("</svg>\n");
    out
}
