//! The pictures of `docs/statistics.md`, drawn from simulated windows with the daemon's own arithmetic.
//!
//!     cargo run --example pictures -- docs/pictures

use std::fmt::Write as _;
use std::path::PathBuf;

use driftd::stats::evidence::Evidence;
use driftd::stats::probability::normal_ln_sf;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Hourly windows of thirty days, with a budget of one false alarm in as many.
const WINDOWS: usize = 720;
/// Where the second picture's shift begins, and how large it is in standard errors of a window.
const ONSET: usize = 360;
const SHIFT: f64 = 1.0;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 120.0;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "docs/pictures".into()));
    std::fs::create_dir_all(&folder)?;
    for (name, shift) in [("quiet-month.svg", 0.0), ("small-shift.svg", SHIFT)] {
        let month = Month::simulate(20_261_128, shift);
        println!("{name}: {}", month.told());
        std::fs::write(folder.join(name), month.svg())?;
    }
    Ok(())
}

/// One signal over a month: its p-values, and the evidence that they add up to.
struct Month {
    ln_p: Vec<f64>,
    ln_evidence: Vec<f64>,
    onset: Option<usize>,
}

impl Month {
    fn simulate(seed: u64, shift: f64) -> Month {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut evidence = Evidence::NONE;
        let (mut ln_p, mut ln_evidence) = (Vec::new(), Vec::new());
        for window in 0..WINDOWS {
            let z = normal(&mut rng) + if window >= ONSET { shift } else { 0.0 };
            ln_p.push(normal_ln_sf(z));
            evidence.step(normal_ln_sf(z));
            ln_evidence.push(evidence.ln());
            if evidence.ln() >= threshold() && shift > 0.0 {
                break;
            }
        }
        Month { ln_p, ln_evidence, onset: (shift > 0.0).then_some(ONSET) }
    }

    fn naive(&self) -> usize {
        self.ln_p.iter().filter(|p| **p < 0.05_f64.ln()).count()
    }

    fn alarm(&self) -> Option<usize> {
        self.ln_evidence.iter().position(|r| *r >= threshold())
    }

    fn told(&self) -> String {
        let most = self.ln_evidence.iter().copied().fold(f64::NEG_INFINITY, f64::max).exp();
        let alarm = match (self.alarm(), self.onset) {
            (Some(at), Some(onset)) => format!("alarm {} windows after the onset", at + 1 - onset),
            (Some(at), None) => format!("alarm at window {at}"),
            (None, _) => "no alarm".to_owned(),
        };
        let smallest = self.ln_p.iter().copied().fold(0.0, f64::min).exp();
        format!(
            "{} windows with p < 0.05, the smallest {smallest:.1e}; evidence at most {most:.0} of {WINDOWS}: {alarm}",
            self.naive()
        )
    }

    fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-60 -24 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\
             \n<rect x=\"-60\" y=\"-24\" width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            WIDTH + 80.0,
            2.0 * HEIGHT + 90.0
        );
        let x = |window: usize| WIDTH * window as f64 / WINDOWS as f64;
        let p_height = |ln_p: f64| HEIGHT * (1.0 - (-ln_p / 10f64.powi(-4).ln().abs()).min(1.0));
        text(&mut svg, 0.0, -8.0, "#333", "p-value of each hour (log scale); red: below 0.05");
        line(&mut svg, p_height(0.05_f64.ln()), "#c33", "0.05");
        for (window, ln_p) in self.ln_p.iter().enumerate() {
            let colour = if *ln_p < 0.05_f64.ln() { "#c33" } else { "#999" };
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"1.6\" fill=\"{colour}\"/>",
                x(window),
                p_height(*ln_p)
            );
        }
        let base = HEIGHT + 40.0;
        // From a tenth of a window's worth of evidence to a little over the threshold.
        let (low, high) = (0.1_f64.ln(), threshold() + 1.0);
        let height = |ln: f64| base + HEIGHT * (1.0 - (ln.clamp(low, high) - low) / (high - low));
        text(&mut svg, 0.0, base - 8.0, "#333", "evidence (log scale) and the threshold that the budget sets");
        line(&mut svg, height(threshold()), "#c33", "720");
        let points: Vec<String> =
            self.ln_evidence.iter().enumerate().map(|(w, r)| format!("{:.1},{:.1}", x(w), height(*r))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#246\" stroke-width=\"1.2\"/>",
            points.join(" ")
        );
        if let Some(onset) = self.onset {
            let at = x(onset);
            let _ =
                writeln!(svg, "<path d=\"M{at} 0V{:.0}\" stroke=\"#888\" stroke-dasharray=\"4 3\"/>", base + HEIGHT);
            text(&mut svg, at + 4.0, base + HEIGHT + 16.0, "#333", "the shift begins");
        }
        if let Some(alarm) = self.alarm() {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"#c33\"/>",
                x(alarm),
                height(self.ln_evidence[alarm])
            );
        }
        svg + "</svg>\n"
    }
}

/// ln of the windows in which the budget allows one false alarm.
fn threshold() -> f64 {
    (WINDOWS as f64).ln()
}

fn normal(rng: &mut StdRng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn text(svg: &mut String, x: f64, y: f64, colour: &str, words: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.0}\" y=\"{y:.0}\" fill=\"{colour}\">{words}</text>");
}

fn line(svg: &mut String, y: f64, colour: &str, label: &str) {
    let _ = writeln!(svg, "<path d=\"M0 {y:.1}H{WIDTH}\" stroke=\"{colour}\" stroke-dasharray=\"2 3\"/>");
    text(svg, -40.0, y + 4.0, colour, label);
}
