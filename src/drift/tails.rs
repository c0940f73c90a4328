//! How far the tails of a reference's own windows reach: where their smallest p-values are smaller than chance has
//! them, small ones are read as what they are.

use super::blocks::Windows;
use super::reference::{Reference, SignalReference, Variation};
use super::summary::Summary;
use super::tracks::compared;
use crate::stats::extremes::Extremes;
use crate::stats::location::{Location, two_sided};

/// Learns how each statistic's small p-values are to be read, each window against a reference without it.
///
/// [`dispersion`](crate::stats::calibration::dispersion) allows for how much windows vary, as their variance has it. A
/// variance does not tell one customer who sends batches of like records, most of three and one of fifty, from many
/// whose batches are of ten: the first's largest windows are far out in the tail of a law that fits the rest.
pub(super) fn learn_tails(reference: &mut Reference, windows: &Windows) {
    for index in 0..reference.scales.len() {
        let mut found = vec![[Extremes::default(), Extremes::default()]; reference.signals.len()];
        windows.each_apart(reference, reference.scales[index], |reference, block| {
            for (signal, found) in reference.signals.iter().zip(&mut found) {
                let tested = tested(reference, signal, index, block);
                found
                    .iter_mut()
                    .zip(tested)
                    .for_each(|(found, ln_p)| ln_p.into_iter().for_each(|ln_p| found.take(ln_p)));
            }
        });
        for (signal, [fit, location]) in reference.signals.iter_mut().zip(&found) {
            for (variation, found) in [(&mut signal.variation, fit), (&mut signal.location, location)] {
                if let Some(null) = variation.at_scale.get_mut(index) {
                    null.tail = found.tail();
                }
            }
        }
    }
}

/// ln p of a block's fit and of its location, where the signal is tested for them.
fn tested(reference: &Reference, signal: &SignalReference, index: usize, block: &Summary) -> [Option<f64>; 2] {
    let Some((current, n, expected)) = compared(signal, block) else { return [None; 2] };
    let measured = signal.measure.as_signal();
    let usual = reference.units_a_window(signal, index);
    let allowance = |variation: &Variation| variation.allowance(index, usual, &expected, 0.0);
    let (fits, locates) = measured.tests();
    let fit = fits.then(|| measured.test(current, &expected.cells, allowance(&signal.variation))).flatten();
    let location = locates.then(|| measured.location(current, &expected.cells)).flatten();
    let sides = |location: Location| location.one_sided(n, allowance(&signal.location));
    [fit.map(|test| test.ln_p), location.map(sides).map(two_sided)]
}
