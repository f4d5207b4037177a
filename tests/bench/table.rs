//! What a person reads: progress on standard error, one table on standard output, ready for docs/performance.md.

use crate::Extent;
use crate::meter;

/// One line of the table.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) postfix: Option<Figures>,
    pub(crate) sealwire: Figures,
    pub(crate) budget: Budget,
}

/// What the figure of sealwire must be.
pub(crate) enum Budget {
    /// At most one so-manieth of Postfix's.
    PartOfPostfix(f64),
    /// At least so many times Postfix's.
    TimesPostfix(f64),
    AtMost(f64),
    AtLeast(f64),
    /// Told beside another row, without a budget of its own.
    None,
}

/// One figure of each run.
#[derive(Clone, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The newest.
    pub(crate) fn last(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    fn text(&self) -> String {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match self.0.len() {
            0 => String::new(),
            1 => short(least),
            _ => format!("{} ({}-{})", short(self.median()), short(least), short(most)),
        }
    }
}

impl From<f64> for Figures {
    fn from(figure: f64) -> Figures {
        Figures(vec![figure])
    }
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        let postfix = self.postfix.as_ref()?.median();
        (!postfix.is_nan()).then(|| self.sealwire.median() / postfix)
    }

    fn ratio_text(&self) -> String {
        match self.ratio() {
            None => String::new(),
            Some(ratio) if ratio < 1.0 => format!("1/{}", short(1.0 / ratio)),
            Some(ratio) => format!("{}x", short(ratio)),
        }
    }

    /// The budget in words, and how far the figure is within it (above 1: within).
    fn judged(&self) -> (String, Option<f64>) {
        let sealwire = self.sealwire.median();
        match self.budget {
            Budget::PartOfPostfix(part) => {
                (format!("<= 1/{part} of Postfix"), self.ratio().map(|ratio| 1.0 / ratio / part))
            }
            Budget::TimesPostfix(times) => (format!(">= {times}x Postfix"), self.ratio().map(|ratio| ratio / times)),
            Budget::AtMost(most) => (format!("<= {most}"), Some(if sealwire <= most { 1.0 } else { most / sealwire })),
            Budget::AtLeast(least) => (format!(">= {least}"), Some(sealwire / least)),
            Budget::None => (String::new(), None),
        }
    }
}

/// Progress.
pub(crate) fn say(text: &str) {
    eprintln!("==> {text} (load average {})", meter::load_average());
}

/// The table's head; rows follow as they are measured, so that an interrupted bench has not been in vain.
#[expect(clippy::print_stdout, reason = "a bench speaks to a person")]
pub(crate) fn begin(extent: &Extent) {
    println!(
        "Median (least-most) of {} runs in turn, {} messages each, {} processors, CPU by {}.",
        extent.runs,
        extent.messages,
        std::thread::available_parallelism().map_or(0, usize::from),
        meter::by_what(),
    );
    println!("Every run: nothing lost, doubled, damaged or strange; nothing in clear where TLS was asked for.\n");
    println!(
        "| what | unit | Postfix | sealwire | ratio | budget | met | load average |\n|---|---|---|---|---|---|---|---|"
    );
}

/// One row, with the load average of the minute in which its last run ended.
#[expect(clippy::print_stdout, reason = "a bench speaks to a person")]
pub(crate) fn show(row: &Row) {
    let postfix = row.postfix.as_ref().map(Figures::text).unwrap_or_default();
    let (budget, within) = row.judged();
    let met = match within {
        None => String::new(),
        Some(within) if within >= 1.0 => "yes".to_owned(),
        Some(within) => format!("no, {}x off", short(1.0 / within)),
    };
    let (what, unit, sealwire, ratio) = (&row.what, row.unit, row.sealwire.text(), row.ratio_text());
    let load = meter::load_average();
    println!("| {what} | {unit} | {postfix} | {sealwire} | {ratio} | {budget} | {met} | {load} |");
}

/// Three digits that count.
fn short(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 0.1 => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}
