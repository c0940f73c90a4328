//! Judges the files of the peers' harness (`../shared/bench`) with driftd's signals, and writes rows that
//! its aggregators print beside the peers'. `scripts/peers.sh` runs it all.
//!
//!     peers tabular DATA OUT.csv       peers embeddings DATA OUT.csv       peers speed DATA
//!
//! A row `driftd` is one window judged as two samples: the reference's sampling error is a variance, the
//! level is 5 % over all columns (Bonferroni). A row `driftd_daemon` is what the daemon allows for: the
//! reference's error at its 99.9 % bound, since it comes back in every window, and what its own windows
//! vary.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use driftd::drift::answer::{Answer, Confidence, Uncertainty};
use driftd::drift::fit::{FitRecord, Plan, fit};
use driftd::drift::geometry::place;
use driftd::drift::observation::{HeadSource, Joined, Observation};
use driftd::drift::record::AttributeValue;
use driftd::drift::reference::{Reference, ReferenceKind, SignalReference};
use driftd::drift::summary::Summary;
use driftd::drift::task::{AttributeKind, AttributeSpec, ModelSpec, TaskKind, TaskSpec};
use driftd::drift::time::Timestamp;
use driftd::drift::window::WindowRule;
use driftd::stats::hypothesis::Allowance;
use driftd::stats::location::two_sided;

const LEVEL: f64 = 0.05;
const SHIFTED: [&str; 6] = ["n00_d10", "n00_d25", "n00_d50", "c00_p2", "c00_p5", "c00_p10"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["tabular", data, out] => tabular(Path::new(data), out),
        ["embeddings", data, out] => embeddings(Path::new(data), out),
        ["speed", data] => speed(Path::new(data)),
        _ => {
            eprintln!("usage: peers tabular DATA OUT.csv | peers embeddings DATA OUT.csv | peers speed DATA");
            std::process::exit(2);
        }
    }
}

/// A NumPy array in C order: its shape and its bytes.
fn npy(path: &Path) -> (Vec<usize>, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]])) + 10;
    let text = String::from_utf8_lossy(&bytes[10..header]).into_owned();
    let inside = text.split("'shape': (").nth(1).and_then(|t| t.split(')').next()).expect("an npy header");
    let shape = inside.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    (shape, bytes[header..].to_vec())
}

fn f32s(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let (shape, bytes) = npy(path);
    (shape, bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn i64s(path: &Path) -> Vec<i64> {
    let eight = |b: &[u8]| i64::from_le_bytes(b.try_into().expect("eight bytes"));
    npy(path).1.chunks_exact(8).map(eight).collect()
}

/// A table by column.
struct Table {
    names: Vec<String>,
    numeric: Vec<Vec<f64>>,
    letters: Vec<Vec<u8>>,
    rows: usize,
}

impl Table {
    fn load(stem: &Path) -> Table {
        let with = |suffix: &str| stem.with_extension(suffix);
        let names = std::fs::read_to_string(with("columns")).expect("run scripts/peers_columns.py first");
        let (shape, bytes) = npy(&with("num.npy"));
        let rows = shape[1];
        let value = |b: &[u8]| f64::from_le_bytes(b.try_into().expect("eight bytes"));
        let numeric = bytes.chunks_exact(8 * rows).map(|c| c.chunks_exact(8).map(value).collect()).collect();
        let letters = npy(&with("cat.npy")).1.chunks_exact(rows).map(<[u8]>::to_vec).collect();
        Table { names: names.lines().map(str::to_owned).collect(), numeric, letters, rows }
    }

    /// A shifted copy's twin in the reference.
    fn column(&self, name: &str) -> (Option<&Vec<f64>>, Option<&Vec<u8>>) {
        let find = |wanted: &str| self.names.iter().position(|n| n == wanted);
        let at = find(name).or_else(|| find(name.split('_').next()?)).expect("a known column");
        let numeric = self.numeric.get(at);
        (numeric, at.checked_sub(self.numeric.len()).and_then(|i| self.letters.get(i)))
    }

    fn value(&self, name: &str, row: usize) -> Option<AttributeValue> {
        match self.column(name) {
            (Some(numbers), _) => Some(AttributeValue::Number(numbers[row])),
            (_, Some(letters)) => Some(AttributeValue::Category(char::from(b'a' + letters[row]).to_string())),
            _ => None,
        }
    }

    fn records(&self, columns: &[String], rows: std::ops::Range<usize>) -> Vec<Joined> {
        let record =
            |row: usize| Joined { attributes: columns.iter().map(|name| self.value(name, row)).collect(), ..nothing() };
        rows.map(record).collect()
    }
}

fn nothing() -> Joined {
    Joined {
        input: None,
        text: None,
        attributes: Vec::new(),
        tags: Vec::new(),
        embedding: Vec::new(),
        answers: Vec::new(),
        skew: None,
    }
}

fn spec(columns: &[String], dimension: Option<usize>, classes: usize) -> ModelSpec {
    let attribute = |name: &String| AttributeSpec {
        name: name.clone(),
        kind: if name.starts_with('n') { AttributeKind::Numeric } else { AttributeKind::Categorical },
    };
    let task = TaskSpec {
        name: "label".to_owned(),
        kind: TaskKind::Multiclass,
        classes: (0..classes).map(|c| c.to_string()).collect(),
        threshold: 0.5,
        temperature: 1.0,
    };
    ModelSpec {
        name: "peers".to_owned(),
        version: "1".to_owned(),
        tasks: if classes > 0 { vec![task] } else { Vec::new() },
        embedding_dimension: dimension,
        attributes: columns.iter().map(attribute).collect(),
        segments: Some(Vec::new()),
    }
}

fn learn(spec: &ModelSpec, records: Vec<Joined>, window: u64) -> Reference {
    let stamped =
        |(i, joined): (usize, Joined)| FitRecord { time: Timestamp::from_micros(i as i64), joined, labels: Vec::new() };
    let mut records: Vec<FitRecord> = records.into_iter().enumerate().map(stamped).collect();
    let window = WindowRule::Records(window);
    let plan = Plan { spec, heads: HeadSource::Predictions, window, kind: ReferenceKind::Fixed, token: &|_| None };
    fit(&plan, &mut records).expect("enough to learn from").reference
}

fn fold(reference: &Reference, records: Vec<Joined>) -> Summary {
    let mut summary = Summary::empty(reference);
    let observations: Vec<(Timestamp, Observation)> = records
        .into_iter()
        .enumerate()
        .map(|(at, joined)| {
            let time = Timestamp::from_micros(at as i64);
            let place = place(&joined.embedding, reference.geometry.as_ref(), time);
            (time, joined.observe(place, &reference.segments))
        })
        .collect();
    summary.fold_all(reference, &observations.iter().map(|(time, o)| (*time, o)).collect::<Vec<_>>());
    summary
}

/// ln p of a signal as two samples, and as the daemon allows.
fn ln_p(reference: &Reference, signal: &SignalReference, summary: &Summary) -> [f64; 2] {
    let measured = signal.measure.as_signal();
    let cells = &summary.cells[signal.cells()];
    let expected = signal.expected(&[]);
    let n = measured.n(cells) as f64;
    let samples = Allowance { intra_window_correlation: 1.0 / expected.units, ..Allowance::EXACT };
    [None, Some(())].map(|daemon| {
        let allow = |variation: &driftd::drift::reference::Variation| match daemon {
            None => samples,
            Some(()) => variation.allowance(0, reference.units_a_window(signal, 0), &expected, 0.0),
        };
        let fit = measured.test(cells, &expected.cells, allow(&signal.variation)).map(|t| t.ln_p);
        let location = measured.location(cells, &expected.cells);
        let location = location.map(|l| two_sided(l.one_sided(n, allow(&signal.location))));
        match (fit, location) {
            (Some(fit), Some(location)) => (fit.min(location) + std::f64::consts::LN_2).min(0.0),
            (fit, location) => fit.or(location).unwrap_or(0.0),
        }
    })
}

const ROWS: [&str; 2] = ["driftd", "driftd_daemon"];

fn tabular(data: &Path, out: &str) {
    let mut csv = std::io::BufWriter::new(std::fs::File::create(out).expect("writable"));
    writeln!(csv, "peer,n_ref,n,ref,block,col,score,flag").expect("writable");
    for r in 0..10 {
        let table = Table::load(&data.join(format!("qt_ref_{r}")));
        let windows = Table::load(&data.join(format!("qt_win_{r}")));
        let columns: Vec<String> = table.names.iter().cloned().chain(SHIFTED.iter().map(|s| (*s).to_owned())).collect();
        let spec = spec(&columns, None, 0);
        for n in [200, 1_000, 5_000] {
            let reference = learn(&spec, table.records(&columns, 0..table.rows), n as u64);
            for block in 0..windows.rows / 5_000 {
                let summary = fold(&reference, windows.records(&columns, block * 5_000..block * 5_000 + n));
                let own = |signal: &&SignalReference| signal.measure.as_signal().looks_at().is_none();
                for signal in reference.signals.iter().filter(own) {
                    let column = signal.key.signal.trim_start_matches("attribute_");
                    let rising = format!("rising_in_{}", signal.key.signal);
                    let rising = reference.signals.iter().find(|s| s.key.signal == rising);
                    let mut found = ln_p(&reference, signal, &summary);
                    if let Some(rising) = rising {
                        // The better of two tests of one column.
                        let two = found.into_iter().zip(ln_p(&reference, rising, &summary));
                        let better = |(a, b): (f64, f64)| (a.min(b) + std::f64::consts::LN_2).min(0.0);
                        found = two.map(better).collect::<Vec<f64>>().try_into().expect("two rows");
                    }
                    for (peer, ln_p) in ROWS.iter().zip(found) {
                        let flag = u8::from(ln_p <= (LEVEL / table.names.len() as f64).ln());
                        let p = ln_p.exp();
                        writeln!(csv, "{peer},{},{n},{r},{block},{column},{p:.6e},{flag}", table.rows)
                            .expect("writable");
                    }
                }
            }
        }
        eprintln!("tabular: reference {r} done");
    }
}

fn embedded(embedding: &[f32], class: i64) -> Joined {
    let uncertainty = Uncertainty::default();
    let answer = Answer::Class { class: class as u32, confidence: Confidence::Absent, uncertainty };
    Joined { embedding: embedding.to_vec(), answers: vec![Some(answer)], ..nothing() }
}

/// The reference's records, fitted at windows of `n`.
fn embedded_reference(data: &Path, name: &str, n: usize) -> Reference {
    let (shape, rows) = f32s(&data.join(format!("{name}.npy")));
    let classes = i64s(&data.join(format!("{name}_y.npy")));
    let records = rows.chunks_exact(shape[1]).zip(&classes).map(|(row, class)| embedded(row, *class)).collect();
    learn(&spec(&[], Some(shape[1]), 5), records, n as u64)
}

fn embeddings(data: &Path, out: &str) {
    let mut csv = std::io::BufWriter::new(std::fs::File::create(out).expect("writable"));
    writeln!(csv, "method,n_ref,n,w,scenario,score,flag").expect("writable");
    let (_, sigma) = f32s(&data.join("qe_sigma.npy"));
    let dims: Vec<usize> = i64s(&data.join("qe_dims.npy")).into_iter().map(|d| d as usize).collect();
    for n in [200_usize, 1_000, 5_000] {
        let held = if n > 1_000 { 5_000 } else { 1_000 };
        let (shape, rows) = f32s(&data.join(format!("qe_win{held}.npy")));
        let classes = i64s(&data.join(format!("qe_win{held}_y.npy")));
        let references: Vec<Reference> =
            (0..4).map(|r| embedded_reference(data, &format!("qe_ref_{r}"), n.min(1_000))).collect();
        for scenario in [0.0_f32, 0.1, 0.25, 0.5] {
            for w in 0..shape[0] {
                let reference = &references[w * 4 / shape[0]];
                let record = |i: usize| {
                    let row = w * held + i;
                    let mut embedding = rows[row * shape[2]..(row + 1) * shape[2]].to_vec();
                    dims.iter().for_each(|d| embedding[*d] += scenario * sigma[*d]);
                    embedded(&embedding, classes[row])
                };
                let summary = fold(reference, (0..n).map(record).collect());
                let m = reference.signals.len() as f64;
                let mut least = [0.0_f64; 2];
                for signal in &reference.signals {
                    least
                        .iter_mut()
                        .zip(ln_p(reference, signal, &summary))
                        .for_each(|(least, p)| *least = least.min(p));
                }
                for (method, ln_p) in ROWS.iter().zip(least) {
                    let p = (ln_p + m.ln()).min(0.0);
                    let flag = u8::from(p <= LEVEL.ln());
                    writeln!(csv, "{method},10000,{n},{w},{scenario},{:.6e},{flag}", p.exp()).expect("writable");
                }
            }
            eprintln!("embeddings: {n} a window, scenario {scenario} done");
        }
    }
}

/// CPU seconds of one thread to fold and judge a window; records as the decoder gives them are at hand.
fn speed(data: &Path) {
    const REPEATS: usize = 5;
    const BATCH: usize = 256;
    let table = Table::load(&data.join("w1_ref"));
    let current = Table::load(&data.join("w1_cur100k"));
    let reference = learn(&spec(&table.names, None, 0), table.records(&table.names, 0..table.rows), 10_000);
    let best = (0..REPEATS).map(|_| {
        let mut summary = Summary::empty(&reference);
        let mut seconds = 0.0;
        // As collect does: a batch at a time, folded when it has just been decoded.
        for start in (0..current.rows).step_by(BATCH) {
            let batch = current.records(&table.names, start..(start + BATCH).min(current.rows));
            let observed: Vec<Observation> = batch
                .into_iter()
                .map(|joined| joined.observe(place(&[], None, Timestamp::from_micros(0)), &[]))
                .collect();
            let entries: Vec<(Timestamp, &Observation)> =
                observed.iter().map(|o| (Timestamp::from_micros(0), o)).collect();
            let began = Instant::now();
            summary.fold_all(&reference, &entries);
            seconds += began.elapsed().as_secs_f64();
        }
        let began = Instant::now();
        let decided: f64 = reference.signals.iter().map(|signal| ln_p(&reference, signal, &summary)[1]).sum();
        assert!(decided.is_finite());
        seconds + began.elapsed().as_secs_f64()
    });
    let seconds = best.fold(f64::INFINITY, f64::min);
    println!("30 columns, {} rows: {:.2} M rows a CPU second", current.rows, current.rows as f64 / seconds / 1e6);

    let reference = embedded_reference(data, "w2_ref", 1_000);
    for name in ["w2_cur1k", "w2_cur5k"] {
        let (shape, rows) = f32s(&data.join(format!("{name}.npy")));
        let classes = i64s(&data.join(format!("{name}_y.npy")));
        let best = (0..REPEATS).map(|_| {
            let records: Vec<Joined> =
                rows.chunks_exact(shape[1]).zip(&classes).map(|(row, class)| embedded(row, *class)).collect();
            let began = Instant::now();
            let summary = fold(&reference, records);
            let decided: f64 = reference.signals.iter().map(|signal| ln_p(&reference, signal, &summary)[1]).sum();
            assert!(decided.is_finite());
            began.elapsed().as_secs_f64()
        });
        let seconds = best.fold(f64::INFINITY, f64::min);
        println!("{} embeddings of {} dimensions: {:.2} CPU ms", shape[0], shape[1], seconds * 1e3);
    }
}
