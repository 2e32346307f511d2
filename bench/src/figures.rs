//! What a benchmark measured, as figures with names, and the report of them.
//!
//! A figure is a number of a load. Which goals they are held against is each program's affair: it looks figures up by name, and
//! leaves a goal out where a load was not run.

use serde::Serialize;

use crate::goals::Goal;
use crate::report::{Machine, goal_table, table, with_unit};

/// One number.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// The load: `drain`, `live`, …
    pub(crate) load: &'static str,
    /// What it is.
    pub(crate) what: &'static str,
    /// Its value.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
}

/// Figures in the order in which they were measured.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// Adds one.
    pub(crate) fn add(&mut self, load: &'static str, what: &'static str, value: f64, unit: &'static str) {
        self.0.push(Figure { load, what, value, unit });
    }

    /// Adds those of a load.
    pub(crate) fn extend(&mut self, others: Figures) {
        self.0.extend(others.0);
    }

    /// As a table; nothing where there are none.
    pub(crate) fn text(&self) -> String {
        let row =
            |figure: &Figure| vec![format!("{}: {}", figure.load, figure.what), with_unit(figure.value, figure.unit)];
        table("Figures", &["load", "measured"], self.0.iter().map(row).collect())
    }

    /// The value of a figure.
    pub(crate) fn get(&self, load: &str, what: &str) -> Option<f64> {
        self.0.iter().find(|figure| figure.load == load && figure.what == what).map(|figure| figure.value)
    }
}

/// Everything measured in one run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// When it began, UTC.
    pub(crate) began: String,
    /// The command line.
    pub(crate) command: String,
    /// Where.
    pub(crate) machine: Machine,
    /// In the order they were measured.
    pub(crate) figures: Figures,
    /// How they did.
    pub(crate) goals: Vec<Goal>,
}

impl Report {
    /// The tables.
    pub(crate) fn text(&self) -> String {
        format!("{}\n\n{}{}", self.machine.text(), self.figures.text(), goal_table(&self.goals))
    }
}
