//! Numbers in and out of a graph, in the element types and shapes that it was exported with.

use std::borrow::Cow;
use std::collections::BTreeMap;

use half::f16;
use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor};

use super::graph::{Graph, element, signature};
use super::manifest::RawInputs;

/// What a graph takes.
pub(super) struct Feeding {
    /// Texts at a time, where it takes no other number.
    pub(super) batch: Option<usize>,
    /// Tokens of each, where it takes no other number.
    pub(super) width: Option<usize>,
    /// Element types of inputs by name.
    elements: BTreeMap<String, i32>,
}

impl Feeding {
    /// Reads it off a graph.
    pub(super) fn of(graph: &Graph, names: &RawInputs) -> Feeding {
        let inputs = signature(graph).inputs;
        let fixed = |dimension: usize| {
            let size = inputs.get(&names.input_ids).and_then(|port| port.shape.get(dimension).copied().flatten());
            size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0)
        };
        let (batch, width) = (fixed(0), fixed(1));
        Feeding { batch, width, elements: inputs.into_iter().map(|(name, port)| (name, port.element)).collect() }
    }

    /// As many texts as the graph takes, by repeating them: one that stands alone goes another way through the kernels
    /// than one among several, so that there are two at least.
    pub(super) fn filled(&self, batch: &[usize]) -> Vec<usize> {
        let size = self.batch.unwrap_or(2).max(batch.len());
        batch.iter().copied().cycle().take(size).collect()
    }

    /// Whole numbers as an input takes them; ids of tokens have 32 bits.
    pub(super) fn tensor<'v>(
        &self,
        name: &str,
        shape: [usize; 2],
        numbers: Vec<i64>,
    ) -> Result<SessionInputValue<'v>, ort::Error> {
        Ok(match self.elements.get(name) {
            Some(&element::INT32) => {
                let narrow: Vec<i32> = numbers.into_iter().map(|n| i32::try_from(n).unwrap_or(i32::MAX)).collect();
                Tensor::from_array((shape, narrow))?.into()
            }
            Some(&element::FLOAT) => {
                Tensor::from_array((shape, numbers.into_iter().map(|n| n as f32).collect::<Vec<_>>()))?.into()
            }
            _ => Tensor::from_array((shape, numbers))?.into(),
        })
    }
}

/// An output's numbers, 32-bit floats or 16-bit ones.
pub(super) fn floats(value: &DynValue) -> Result<Cow<'_, [f32]>, ort::Error> {
    if let Ok((_, data)) = value.try_extract_tensor::<f16>() {
        return Ok(Cow::Owned(data.iter().map(|x| x.to_f32()).collect()));
    }
    Ok(Cow::Borrowed(value.try_extract_tensor::<f32>()?.1))
}
