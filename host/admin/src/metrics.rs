//! Metrics in Prometheus' text form. The relay counts; this only writes down.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

/// Histograms are folded this often, so that they do not grow while nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The process's metrics. Install before the relay starts: what is counted earlier is lost.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Becomes the process's recorder; once for each process.
    pub fn install() -> Result<Metrics, BuildError> {
        PrometheusBuilder::new().install_recorder().map(Metrics)
    }

    /// Counts nothing: for tests, which share one process.
    #[cfg(test)]
    pub(crate) fn apart() -> Metrics {
        Metrics(PrometheusBuilder::new().build_recorder().handle())
    }

    /// The text a scraper reads.
    pub fn text(&self) -> String {
        self.0.render()
    }

    /// Runs until dropped.
    pub(crate) async fn upkeep(self) {
        let mut interval = tokio::time::interval(UPKEEP_EVERY);
        loop {
            interval.tick().await;
            self.0.run_upkeep();
        }
    }
}
