//! The picture of the instruction counts, both axes logarithmic.

use std::fmt::Write as _;

/// Width and height of the whole, and where the axes meet.
const SIZE: (f64, f64) = (720.0, 440.0);
const ORIGIN: (f64, f64) = (80.0, 380.0);
/// Decades along each axis, with the exponent that it begins at.
const DECADES: ((u32, u32), (u32, u32)) = ((3, 3), (5, 4));
const UNIT: (f64, f64) = (200.0, 85.0);

/// What is drawn as one line: its name, its colour, and points of (weights, instructions).
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) colour: &'static str,
    pub(crate) points: Vec<(u64, u64)>,
}

/// A single figure beside the lines.
pub(crate) struct Mark {
    pub(crate) name: &'static str,
    pub(crate) at: (u64, u64),
}

/// The picture as a text, the same for the same figures.
pub(crate) fn svg(lines: &[Line], marks: &[Mark]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        SIZE.0, SIZE.1
    );
    grid(&mut svg);
    for (place, Line { name, colour, points }) in lines.iter().enumerate() {
        let mut points = points.clone();
        points.sort_unstable();
        let path: Vec<String> =
            points.iter().map(|&point| place_of(point)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        push(
            &mut svg,
            format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            ),
        );
        for (x, y) in points.iter().map(|&point| place_of(point)) {
            push(&mut svg, format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"));
        }
        let y = 30 + 18 * place;
        push(
            &mut svg,
            format_args!(
                "<rect x=\"{}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>",
                ORIGIN.0 + 16.0,
                y - 5
            ),
        );
        push(&mut svg, format_args!("<text x=\"{}\" y=\"{y}\">{name}</text>", ORIGIN.0 + 36.0));
    }
    for Mark { name, at } in marks {
        let (x, y) = place_of(*at);
        push(
            &mut svg,
            format_args!("<path d=\"M{x:.1} {y:.1}m-4 -4l8 8m0 -8l-8 8\" stroke=\"#666\" stroke-width=\"2\"/>"),
        );
        push(
            &mut svg,
            format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#666\">{name}</text>",
                x - 8.0,
                y + 4.0
            ),
        );
    }
    svg + "</svg>\n"
}

fn grid(svg: &mut String) {
    let ((first_x, wide), (first_y, high)) = DECADES;
    for decade in 0..=wide {
        let x = ORIGIN.0 + UNIT.0 * f64::from(decade);
        let top = ORIGIN.1 - UNIT.1 * f64::from(high);
        push(svg, format_args!("<path d=\"M{x} {}V{top}\" stroke=\"#ddd\"/>", ORIGIN.1));
        power(svg, x, ORIGIN.1 + 18.0, "middle", first_x + decade);
    }
    for decade in 0..=high {
        let y = ORIGIN.1 - UNIT.1 * f64::from(decade);
        let right = ORIGIN.0 + UNIT.0 * f64::from(wide);
        push(svg, format_args!("<path d=\"M{} {y}H{right}\" stroke=\"#ddd\"/>", ORIGIN.0));
        power(svg, ORIGIN.0 - 8.0, y + 4.0, "end", first_y + decade);
    }
    let middle = ORIGIN.0 + UNIT.0 * f64::from(wide) / 2.0;
    push(
        svg,
        format_args!(
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">weights that are not 0</text>",
            ORIGIN.1 + 40.0
        ),
    );
    push(
        svg,
        format_args!(
            "<text x=\"20\" y=\"{0}\" text-anchor=\"middle\" transform=\"rotate(-90 20 {0})\">instructions of an epoch</text>",
            ORIGIN.1 / 2.0
        ),
    );
}

fn power(svg: &mut String, x: f64, y: f64, anchor: &str, exponent: u32) {
    push(
        svg,
        format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">10<tspan dy=\"-5\" font-size=\"9\">{exponent}</tspan></text>"
        ),
    );
}

fn place_of((weights, instructions): (u64, u64)) -> (f64, f64) {
    let ((first_x, _), (first_y, _)) = DECADES;
    let decades = |value: u64, first: u32| (value as f64).log10() - f64::from(first);
    (ORIGIN.0 + UNIT.0 * decades(weights, first_x), ORIGIN.1 - UNIT.1 * decades(instructions, first_y))
}

fn push(svg: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("a text takes what is written to it");
}
