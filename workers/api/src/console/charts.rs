//! Charts, made here: lines over time, bars, and a flow that parts. Whole numbers in, markup out.
//!
//! What a chart says stands beside it as text: its name, the value now, the ends of its axes; and within, for whoever does not see it.
//! The drawing itself has no text that would shrink with it, but for the flow's, which is large. Colours are the style sheet's, and
//! never the only difference. Deliberately absent: scripts, inline styles, and anything that moves.

use maud::{Markup, html};

/// How wide and high the drawing is, in its own units.
const WIDE: i64 = 600;
const HIGH: i64 = 120;

/// How wide and high a flow is, and a column of it.
const FLOW_WIDE: i64 = 480;
const FLOW_HIGH: i64 = 320;
const COLUMN: i64 = 18;
/// Where the right column of a flow stands: its words are right of it.
const RIGHT: i64 = 170;
/// Between two parts of a flow.
const GAP: i64 = 12;
/// A part that is there is seen, and its words have room.
const LOWEST: i64 = 26;

/// Values over time.
pub(super) struct Lines<'l> {
    /// What it shows.
    pub(super) title: &'l str,
    /// The ends of the time axis, in words.
    pub(super) ends: (&'l str, &'l str),
    /// The ends of the time axis.
    pub(super) span: (i64, i64),
    /// The lines, the most important one first.
    pub(super) lines: Vec<Line<'l>>,
    /// How a value is written.
    pub(super) words: fn(i64) -> String,
    /// Whether a value stays until the next one.
    pub(super) is_stepped: bool,
}

/// One line.
pub(super) struct Line<'l> {
    /// What it is called, where there are several.
    pub(super) name: &'l str,
    /// When, and what was known then; ascending.
    pub(super) points: Vec<(i64, Option<i64>)>,
}

impl Line<'_> {
    fn known(&self) -> impl Iterator<Item = i64> + '_ {
        self.points.iter().filter_map(|(_, value)| *value)
    }

    /// The last value, where it is known.
    fn now(&self) -> Option<i64> {
        self.points.last().and_then(|(_, value)| *value)
    }
}

/// A chart of lines. Where nothing is known of a time, there is none.
pub(super) fn lines(chart: &Lines<'_>) -> Markup {
    let known = || chart.lines.iter().flat_map(Line::known);
    let highest = ceiling(known().max().unwrap_or_default());
    let lowest = known().min().unwrap_or_default().min(0);
    let has_names = chart.lines.len() > 1;
    html! {
        figure.chart {
            figcaption {
                span { (chart.title) }
                @for (line, dash) in chart.lines.iter().zip(DASHES) {
                    span.now {
                        @if has_names { (line.name) " " span.key { (dash.words) } " " }
                        strong { (line.now().map_or_else(|| "not known".to_owned(), chart.words)) }
                    }
                }
            }
            div.plot {
                div.y { span { ((chart.words)(highest)) } span { ((chart.words)(lowest)) } }
                svg viewBox={ "0 0 " (WIDE) " " (HIGH) } preserveAspectRatio="none" role="img" aria-label=(in_words(chart)) {
                    line.axis x1="0" y1=(HIGH) x2=(WIDE) y2=(HIGH) {}
                    line.axis x1="0" y1="0" x2=(WIDE) y2="0" {}
                    @for (line, dash) in chart.lines.iter().zip(DASHES) {
                        path.line d=(path(chart, line, (lowest, highest))) stroke-dasharray=[dash.pattern] {}
                    }
                }
                div.x { span { (chart.ends.0) } span { (chart.ends.1) } }
            }
        }
    }
}

/// What tells lines from each other, besides their names.
struct Dash {
    pattern: Option<&'static str>,
    words: &'static str,
}

const DASHES: [Dash; 3] = [
    Dash { pattern: None, words: "━" },
    Dash { pattern: Some("6 4"), words: "╍" },
    Dash { pattern: Some("2 3"), words: "┅" },
];

/// The chart's text alternative.
fn in_words(chart: &Lines<'_>) -> String {
    let mut words = format!("{}, {} to {}", chart.title, chart.ends.0, chart.ends.1);
    for line in &chart.lines {
        let name = if chart.lines.len() > 1 { format!("{} ", line.name) } else { String::new() };
        let found = line.known().min().zip(line.known().max());
        let told = match (found, line.now()) {
            (None, _) => "nothing is known".to_owned(),
            (Some((least, most)), now) => format!(
                "from {} to {}, now {}",
                (chart.words)(least),
                (chart.words)(most),
                now.map_or_else(|| "not known".to_owned(), chart.words)
            ),
        };
        words = format!("{words}; {name}{told}");
    }
    words
}

fn path(chart: &Lines<'_>, line: &Line<'_>, (lowest, highest): (i64, i64)) -> String {
    let (begin, length) = (chart.span.0, chart.span.1.saturating_sub(chart.span.0));
    let (mut path, mut is_drawing) = (String::new(), false);
    for (at, value) in &line.points {
        let Some(value) = value else {
            is_drawing = false;
            continue;
        };
        let x = scaled(at.saturating_sub(begin), length, WIDE);
        let y = HIGH - scaled(value.saturating_sub(lowest), highest.saturating_sub(lowest), HIGH);
        // One point alone is a dot.
        path.push_str(&match (is_drawing, chart.is_stepped) {
            (false, _) => format!("M{x} {y}h0"),
            (true, false) => format!("L{x} {y}"),
            (true, true) => format!("H{x}V{y}"),
        });
        is_drawing = true;
    }
    path
}

/// A column of a chart of bars.
pub(super) struct Bar {
    /// What it is of.
    pub(super) name: String,
    /// How much; none where that is not known.
    pub(super) value: Option<i64>,
}

/// A chart of bars. Below zero, where anything is, the line of nothing stands higher.
pub(super) fn bars(title: &str, bars: &[Bar], words: impl Fn(i64) -> String) -> Markup {
    let known = || bars.iter().filter_map(|bar| bar.value);
    let highest = ceiling(known().max().unwrap_or_default());
    let lowest = known().min().unwrap_or_default().min(0);
    let count = i64::try_from(bars.len()).unwrap_or(i64::MAX).max(1);
    let height = |value: i64| scaled(value.saturating_sub(lowest), highest.saturating_sub(lowest), HIGH);
    let said = |bar: &Bar| bar.value.map_or_else(|| "not known".to_owned(), &words);
    let ends = bars.first().zip(bars.last());
    let all: Vec<String> = bars.iter().map(|bar| format!("{} {}", bar.name, said(bar))).collect();
    html! {
        figure.chart {
            figcaption {
                span { (title) }
                @if let Some(last) = bars.last() { span.now { (last.name) " " strong { (said(last)) } } }
            }
            div.plot {
                div.y { span { (words(highest)) } span { (words(lowest)) } }
                svg viewBox={ "0 0 " (WIDE) " " (HIGH) } preserveAspectRatio="none" role="img"
                    aria-label={ (title) ": " (all.join("; ")) } {
                    @for (bar, index) in bars.iter().zip(0_i64..) {
                        @if let Some(value) = bar.value {
                            @let (top, bottom) = (height(value.max(0)), height(value.min(0)));
                            rect.bar x=(index * WIDE / count + 1) width=((WIDE / count - 2).max(1)) y=(HIGH - top)
                                height=(top - bottom) { title { (bar.name) ": " (said(bar)) } }
                        }
                    }
                    line.axis x1="0" y1=(HIGH - height(0)) x2=(WIDE) y2=(HIGH - height(0)) {}
                }
                @if let Some((first, last)) = ends { div.x { span { (first.name) } span { (last.name) } } }
            }
        }
    }
}

/// A part of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// What it is.
    pub(super) name: String,
    /// How many went there.
    pub(super) count: i64,
    /// The style sheet's class for it.
    pub(super) tone: &'static str,
}

/// All of something, and the parts into which it went. A part of nothing is left out.
pub(super) fn flow(whole: &str, parts: &[Part]) -> Markup {
    let parts: Vec<&Part> = parts.iter().filter(|part| part.count > 0).collect();
    let total: i64 = parts.iter().fold(0, |sum, part| sum.saturating_add(part.count));
    let bands = bands(&parts, total);
    let high = bands.last().map_or(LOWEST, |band| band.right + band.height.max(LOWEST));
    let left: i64 = bands.iter().map(|band| band.height).sum();
    let words: Vec<String> = parts.iter().map(|part| format!("{} {}", part.name, part.count)).collect();
    html! {
        svg.flow viewBox={ "0 0 " (FLOW_WIDE) " " (high) } role="img" aria-label={ (whole) " " (total) ": " (words.join("; ")) } {
            rect.whole x="0" y="0" width=(COLUMN) height=(left) {}
            @for (part, band) in parts.iter().zip(&bands) {
                path.band.(part.tone) d=(band.path()) {}
                rect.end.(part.tone) x=(RIGHT) y=(band.right) width=(COLUMN) height=(band.height) {}
                text x=(RIGHT + COLUMN + 8) y=(band.right + band.height.max(LOWEST) / 2) dominant-baseline="middle" {
                    (part.name) " " tspan.count { (super::words::number(part.count)) }
                }
            }
        }
    }
}

/// Where a part of a flow begins and ends.
#[derive(Debug, PartialEq, Eq)]
struct Band {
    left: i64,
    right: i64,
    height: i64,
}

fn bands(parts: &[&Part], total: i64) -> Vec<Band> {
    let (mut left, mut right) = (0, 0);
    let band = |part: &&Part| {
        let height = scaled(part.count, total, FLOW_HIGH).max(2);
        let band = Band { left, right, height };
        left += height;
        right += height.max(LOWEST) + GAP;
        band
    };
    parts.iter().map(band).collect()
}

impl Band {
    fn path(&self) -> String {
        let Band { left, right, height } = self;
        let (middle, lower_left, lower_right) = ((COLUMN + RIGHT) / 2, left + height, right + height);
        format!(
            "M{COLUMN} {left}C{middle} {left} {middle} {right} {RIGHT} {right}V{lower_right}\
             C{middle} {lower_right} {middle} {lower_left} {COLUMN} {lower_left}Z"
        )
    }
}

/// `value` of `whole`, as a part of `length`; within it.
fn scaled(value: i64, whole: i64, length: i64) -> i64 {
    let part = i128::from(value) * i128::from(length) / i128::from(whole.max(1));
    i64::try_from(part).unwrap_or(length).clamp(0, length)
}

/// The end of an axis that has room for `value`: 1, 2 or 5 with zeros.
fn ceiling(value: i64) -> i64 {
    let mut step = 1_i64;
    while step < value {
        let next = [2, 5, 10]
            .into_iter()
            .map(|times| step.checked_mul(times))
            .find(|next| next.is_none_or(|next| next >= value));
        match next {
            Some(Some(next)) => return next,
            Some(None) => return value,
            None => step *= 10,
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(i64, Option<i64>)]) -> Lines<'static> {
        let line = Line { name: "one", points: points.to_vec() };
        Lines {
            title: "Orders",
            ends: ("a while ago", "now"),
            span: (0, 100),
            lines: vec![line],
            words: |value| value.to_string(),
            is_stepped: false,
        }
    }

    #[test]
    fn a_line_goes_through_its_values_and_has_gaps_where_nothing_is_known() {
        let given = chart(&[(0, Some(0)), (50, Some(10)), (60, None), (100, Some(5))]);
        let shown = lines(&given).into_string();
        assert!(shown.contains("d=\"M0 120h0L300 0M600 60h0\""), "{shown}");
        assert!(shown.contains("aria-label=\"Orders, a while ago to now; from 0 to 10, now 5\""), "{shown}");
        assert!(
            shown.contains("<strong>5</strong>") && shown.contains("<span>a while ago</span><span>now</span>"),
            "{shown}"
        );
        let stepped = lines(&Lines { is_stepped: true, ..chart(&[(0, Some(10)), (100, Some(5))]) }).into_string();
        assert!(stepped.contains("M0 0h0H600V60"), "{stepped}");
    }

    #[test]
    fn a_chart_of_nothing_says_so_and_several_lines_are_told_apart_without_colour() {
        let mut given = chart(&[]);
        assert!(lines(&given).into_string().contains("nothing is known"));
        given.lines.push(Line { name: "two", points: vec![(0, Some(1))] });
        let shown = lines(&given).into_string();
        assert!(shown.contains("stroke-dasharray") && shown.contains("two <span class=\"key\">╍</span>"), "{shown}");
    }

    #[test]
    fn what_is_out_of_bounds_stays_within_the_drawing() {
        let given = chart(&[(-50, Some(i64::MIN)), (i64::MAX, Some(i64::MAX))]);
        let shown = lines(&given).into_string();
        assert!(shown.contains("M0 120h0L600 0"), "{shown}");
    }

    #[test]
    fn an_axis_ends_where_people_would_end_it() {
        let found = [0, 1, 2, 3, 10, 11, 51, 999, i64::MAX].map(ceiling);
        assert_eq!(found, [1, 1, 2, 5, 10, 20, 100, 1_000, i64::MAX]);
    }

    #[test]
    fn bars_have_names_and_one_below_zero_hangs() {
        let bar = |name: &str, value| Bar { name: name.to_owned(), value };
        let given = [bar("<b>", Some(5)), bar("10", None), bar("11", Some(-5))];
        let shown = bars("Kept", &given, |value| format!("{value} €")).into_string();
        assert!(shown.contains("aria-label=\"Kept: &lt;b&gt; 5 €; 10 not known; 11 -5 €\""), "{shown}");
        assert!(
            shown.contains("x=\"1\" width=\"198\" y=\"0\" height=\"60\"") && shown.contains("y=\"60\" height=\"60\""),
            "{shown}"
        );
        assert_eq!(shown.matches("<rect").count(), 2);
    }

    #[test]
    fn a_flow_parts_by_its_counts_and_small_parts_have_room_for_their_words() {
        let part = |name: &str, count| Part { name: name.to_owned(), count, tone: "good" };
        let given = [part("done", 99), part("none", 0), part("<x>", 1)];
        let shown = flow("placed", &given).into_string();
        assert!(shown.contains("aria-label=\"placed 100: done 99; &lt;x&gt; 1\""), "{shown}");
        assert!(shown.contains("<path class=\"band good\"") && shown.contains("<rect class=\"end good\""), "{shown}");
        let kept: Vec<&Part> = given.iter().filter(|part| part.count > 0).collect();
        let found = bands(&kept, 100);
        assert_eq!(found, [Band { left: 0, right: 0, height: 316 }, Band { left: 316, right: 328, height: 3 }]);
        assert!(shown.contains(&format!("viewBox=\"0 0 {FLOW_WIDE} {}\"", 328 + LOWEST)), "{shown}");
        assert!(flow("placed", &[]).into_string().contains("placed 0"));
    }
}
