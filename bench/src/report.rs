//! Figures, what they are held against, and the table of them.

use std::fmt::Write as _;

use serde::Serialize;

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// In which unit `measured` and `limit` are.
    pub unit: Unit,
    /// What came out.
    pub measured: f64,
    /// The same work with nothing but tonic, in the same run.
    pub limit: Option<f64>,
    /// What it has to be.
    pub target: Option<Target>,
    /// Processor time of one operation, by process. Unlike a rate it tells the same on a busy machine.
    pub costs: Vec<Cost>,
    /// The same of the limit.
    pub limit_costs: Vec<Cost>,
}

/// Processor time that one process took for one operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// What the process is: `server`, `caller`, ...
    pub process: String,
    /// How long, in user and system mode together.
    pub microseconds: f64,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Operations per second.
    PerSecond,
    /// Microseconds.
    Microseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Hundredths of one processor.
    Percent,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// This many times the limit, or more.
    RatioAtLeast(f64),
    /// This many times the limit, or less.
    RatioAtMost(f64),
}

impl Figure {
    /// A figure without limit and target.
    pub fn new(name: impl Into<String>, unit: Unit, measured: f64) -> Self {
        Figure {
            name: name.into(),
            unit,
            measured,
            limit: None,
            target: None,
            costs: Vec::new(),
            limit_costs: Vec::new(),
        }
    }

    /// The same with what an operation costs, and what one of the limit does.
    #[must_use]
    pub fn costs(mut self, costs: &[Cost], limit: &[Cost]) -> Self {
        self.costs = costs.to_vec();
        self.limit_costs = limit.to_vec();
        self
    }

    /// The same with a limit.
    #[must_use]
    pub fn limit(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The same with a target.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// How many times the limit it is.
    pub fn ratio(&self) -> Option<f64> {
        self.limit.filter(|limit| *limit > 0.0).map(|limit| self.measured / limit)
    }

    /// Whether the target is reached, if there is one.
    pub fn reached(&self) -> Option<bool> {
        Some(match self.target? {
            Target::AtLeast(target) => self.measured >= target,
            Target::AtMost(target) => self.measured <= target,
            Target::RatioAtLeast(target) => self.ratio()? >= target,
            Target::RatioAtMost(target) => self.ratio()? <= target,
        })
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Unit::PerSecond => format!("{}/s", grouped(value)),
            Unit::Microseconds => format!("{value:.0} µs"),
            Unit::Seconds => format!("{value:.2} s"),
            Unit::Bytes if value.abs() >= 10.0 * 1024.0 * 1024.0 => {
                format!("{:.0} MiB", value / 1024.0 / 1024.0)
            }
            Unit::Bytes => format!("{} B", grouped(value)),
            Unit::Percent => format!("{value:.3} %"),
        }
    }
}

/// A whole number with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 { format!("-{text}") } else { text }
}

/// The figures as a table, in Markdown that is also read well as it is.
pub fn table(figures: &[Figure]) -> String {
    let rows: Vec<[String; 6]> = figures.iter().map(row).collect();
    lines(["figure", "measured", "limit (tonic)", "ratio", "target", "reached"], &rows)
}

/// What operations cost as a table; empty if no figure tells.
pub fn cost_table(figures: &[Figure]) -> String {
    let sum = |costs: &[Cost]| costs.iter().map(|cost| cost.microseconds).sum::<f64>();
    let each = |costs: &[Cost]| {
        let each = costs.iter().map(|cost| format!("{} {:.2}", cost.process, cost.microseconds));
        each.collect::<Vec<_>>().join(", ")
    };
    let rows: Vec<[String; 6]> = figures
        .iter()
        .filter(|figure| !figure.costs.is_empty())
        .map(|figure| {
            let (own, limit) = (sum(&figure.costs), sum(&figure.limit_costs));
            let known = limit > 0.0;
            [
                figure.name.clone(),
                format!("{own:.2} µs"),
                each(&figure.costs),
                if known { format!("{limit:.2} µs") } else { String::new() },
                each(&figure.limit_costs),
                if known { format!("{:.2}", own / limit) } else { String::new() },
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    lines(["processor time of one", "in all", "by process", "limit (tonic)", "by process", "ratio"], &rows)
}

fn row(figure: &Figure) -> [String; 6] {
    let target = figure.target.map_or_else(String::new, |target| match target {
        Target::AtLeast(target) => format!("≥ {}", figure.unit.show(target)),
        Target::AtMost(target) => format!("≤ {}", figure.unit.show(target)),
        Target::RatioAtLeast(target) => format!("≥ {target} × limit"),
        Target::RatioAtMost(target) => format!("≤ {target} × limit"),
    });
    let reached = match figure.reached() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    [
        figure.name.clone(),
        figure.unit.show(figure.measured),
        figure.limit.map_or_else(String::new, |limit| figure.unit.show(limit)),
        figure.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        target,
        reached.to_owned(),
    ]
}

/// A table with columns as wide as they need to be.
pub(crate) fn lines<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: [&str; N]| {
        text.push('|');
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(text, " {cell:width$} |");
        }
        text.push('\n');
    };
    line(head);
    let rules = widths.map(|width| "-".repeat(width));
    line(std::array::from_fn(|index| rules[index].as_str()));
    for row in rows {
        line(std::array::from_fn(|index| row[index].as_str()));
    }
    text
}

/// The figures for programs.
pub fn json(machine: &str, command: &str, figures: &[Figure]) -> serde_json::Value {
    let figures: Vec<_> = figures
        .iter()
        .map(|figure| {
            serde_json::json!({
                "name": figure.name,
                "unit": figure.unit,
                "measured": figure.measured,
                "limit": figure.limit,
                "ratio": figure.ratio(),
                "target": figure.target,
                "reached": figure.reached(),
                "costs": figure.costs,
                "limit_costs": figure.limit_costs,
            })
        })
        .collect();
    serde_json::json!({ "machine": machine, "command": command, "figures": figures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_held_against_the_figure_or_its_ratio() {
        let figure = Figure::new("calls", Unit::PerSecond, 150.0).limit(100.0);
        let reached = |target| figure.clone().target(target).reached();
        assert_eq!(figure.reached(), None);
        assert_eq!(reached(Target::AtLeast(150.0)), Some(true));
        assert_eq!(reached(Target::AtMost(149.0)), Some(false));
        assert_eq!(reached(Target::RatioAtLeast(1.5)), Some(true));
        assert_eq!(reached(Target::RatioAtMost(1.4)), Some(false));
        let alone = Figure { limit: None, ..figure };
        assert_eq!(alone.target(Target::RatioAtMost(1.0)).reached(), None);
    }

    #[test]
    fn costs_are_summed_over_processes() {
        let cost = |process: &str, microseconds| Cost { process: process.to_owned(), microseconds };
        let figure = Figure::new("calls", Unit::PerSecond, 1.0);
        assert_eq!(cost_table(std::slice::from_ref(&figure)), "");
        let figure = figure.costs(&[cost("server", 2.0), cost("caller", 1.5)], &[cost("echo", 7.0)]);
        let expected = "\
| processor time of one | in all  | by process               | limit (tonic) | by process | ratio |
| --------------------- | ------- | ------------------------ | ------------- | ---------- | ----- |
| calls                 | 3.50 µs | server 2.00, caller 1.50 | 7.00 µs       | echo 7.00  | 0.50  |
";
        assert_eq!(cost_table(&[figure]), expected);
    }

    #[test]
    fn a_table_names_what_was_not_reached() {
        let figure = Figure::new("calls", Unit::PerSecond, 1_234_567.0).limit(1_000_000.0);
        let text = table(&[figure.target(Target::RatioAtLeast(1.5))]);
        let expected = "\
| figure | measured    | limit (tonic) | ratio | target        | reached |
| ------ | ----------- | ------------- | ----- | ------------- | ------- |
| calls  | 1,234,567/s | 1,000,000/s   | 1.23  | ≥ 1.5 × limit | no      |
";
        assert_eq!(text, expected);
    }
}
