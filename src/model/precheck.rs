//! Our own check of an ONNX file, before ONNX Runtime sees it: no data outside the model's
//! directory, no operators of unknown domains. Old builds of ONNX Runtime follow external data
//! anywhere, so this does not rely on it.

use std::path::{Component, Path};

use prost::Message;

use super::ModelError;
use super::graph::{Graph, Model, Node, Tensor};

/// Larger files are refused.
const MOST_BYTES: u64 = 8 << 30;
/// Graphs nested deeper than this are refused.
const MOST_NESTING: usize = 16;
/// Operator domains that ONNX Runtime itself implements.
const KNOWN_DOMAINS: [&str; 5] = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"];
/// Marker by which ONNX Runtime means an address in its own memory.
const MEMORY_MARKER: &str = "_ORT_MEM_ADDR_";

/// A file that passed.
#[derive(Debug)]
pub struct Checked {
    /// The very bytes that were checked, to be loaded without reading again; `None` if data lie
    /// outside the file, which ONNX Runtime only finds by path.
    pub bytes: Vec<u8>,
    /// Whether data lie outside the file.
    pub external: bool,
    /// The decoded message.
    pub model: Model,
}

/// Reads and checks a file.
///
/// # Errors
/// [`ModelError::Unreadable`], or [`ModelError::Refused`] with the reason.
pub fn check(path: &Path) -> Result<Checked, ModelError> {
    let unreadable = |source| ModelError::Unreadable { path: path.to_owned(), source };
    let refused = |reason: String| ModelError::Refused { path: path.to_owned(), reason };
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if meta.len() == 0 {
        return Err(refused("the file is empty".into()));
    }
    if meta.len() > MOST_BYTES {
        return Err(refused(format!("larger than {MOST_BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let model = Model::decode(bytes.as_slice()).map_err(|error| refused(format!("not an ONNX model: {error}")))?;
    let Some(graph) = &model.graph else {
        return Err(refused("not an ONNX model: it has no graph".into()));
    };
    let local: Vec<&str> = model.functions.iter().map(|f| f.domain.as_str()).collect();
    let mut walk = Walk { local, directory: path.parent().unwrap_or(Path::new(".")), external: false };
    walk.graph(graph, 0).map_err(refused)?;
    for function in &model.functions {
        function.node.iter().try_for_each(|node| walk.node(node, 0)).map_err(refused)?;
    }
    let external = walk.external;
    Ok(Checked { bytes, external, model })
}

struct Walk<'a> {
    local: Vec<&'a str>,
    directory: &'a Path,
    external: bool,
}

impl Walk<'_> {
    fn graph(&mut self, graph: &Graph, depth: usize) -> Result<(), String> {
        if depth > MOST_NESTING {
            return Err(format!("graphs are nested more than {MOST_NESTING} deep"));
        }
        graph.initializer.iter().try_for_each(|tensor| self.tensor(tensor))?;
        for sparse in &graph.sparse_initializer {
            sparse.values.iter().chain(&sparse.indices).try_for_each(|tensor| self.tensor(tensor))?;
        }
        graph.node.iter().try_for_each(|node| self.node(node, depth))
    }

    fn node(&mut self, node: &Node, depth: usize) -> Result<(), String> {
        if !KNOWN_DOMAINS.contains(&node.domain.as_str()) && !self.local.contains(&node.domain.as_str()) {
            return Err(format!("operator `{}` belongs to the unknown domain `{}`", node.op_type, node.domain));
        }
        for attribute in &node.attribute {
            attribute.t.iter().chain(&attribute.tensors).try_for_each(|tensor| self.tensor(tensor))?;
            attribute.g.iter().chain(&attribute.graphs).try_for_each(|graph| self.graph(graph, depth + 1))?;
            for sparse in attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors) {
                sparse.values.iter().chain(&sparse.indices).try_for_each(|tensor| self.tensor(tensor))?;
            }
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &Tensor) -> Result<(), String> {
        if tensor.data_location != 1 && tensor.external_data.is_empty() {
            return Ok(());
        }
        self.external = true;
        let location = tensor.external_data.iter().find(|e| e.key == "location").map(|e| e.value.as_str());
        let Some(location) = location.filter(|l| !l.is_empty()) else {
            return Err(format!("tensor `{}` has external data without a location", tensor.name));
        };
        let plain = Path::new(location).components().all(|c| matches!(c, Component::Normal(_)))
            && Path::new(location).components().count() == 1;
        if !plain || location.contains(MEMORY_MARKER) || location.contains('\0') || location.contains('\\') {
            return Err(format!(
                "tensor `{}` has external data in `{location}`: only files beside the model are allowed",
                tensor.name
            ));
        }
        let meta = std::fs::symlink_metadata(self.directory.join(location))
            .map_err(|error| format!("external data file `{location}`: {error}"))?;
        if !meta.is_file() {
            return Err(format!("external data file `{location}` is not a plain file"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Attribute, Entry};
    use super::*;

    fn write(directory: &Path, model: &Model) -> std::path::PathBuf {
        let path = directory.join("m.onnx");
        std::fs::write(&path, model.encode_to_vec()).expect("written");
        path
    }

    fn with_external(location: &str) -> Model {
        let entry = Entry { key: "location".into(), value: location.into() };
        let tensor = Tensor { name: "w".into(), external_data: vec![entry], data_location: 1, ..Tensor::default() };
        // Hidden in a subgraph, where a check of the top level alone would miss it.
        let inner = Graph { initializer: vec![tensor], ..Graph::default() };
        let attribute = Attribute { g: Some(inner), ..Attribute::default() };
        let node = Node { op_type: "If".into(), attribute: vec![attribute], ..Node::default() };
        Model { graph: Some(Graph { node: vec![node], ..Graph::default() }), ..Model::default() }
    }

    #[test]
    fn external_data_stay_beside_the_model() {
        let directory = tempfile::tempdir().expect("temp dir");
        std::fs::write(directory.path().join("weights.bin"), b"x").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("link.bin")).expect("linked");
        let found = check(&write(directory.path(), &with_external("weights.bin"))).expect("beside the model");
        assert!(found.external);
        for wrong in
            ["../weights.bin", "/etc/passwd", "a/b.bin", "link.bin", "missing.bin", "*/_ORT_MEM_ADDR_/*", "", "."]
        {
            let error = check(&write(directory.path(), &with_external(wrong))).expect_err(wrong);
            assert!(matches!(error, ModelError::Refused { .. }), "{wrong}: {error}");
        }
    }

    #[test]
    fn unknown_domains_are_refused() {
        let directory = tempfile::tempdir().expect("temp dir");
        let node = Node { op_type: "Run".into(), domain: "evil.ops".into(), ..Node::default() };
        let model = Model { graph: Some(Graph { node: vec![node], ..Graph::default() }), ..Model::default() };
        let error = check(&write(directory.path(), &model)).expect_err("unknown domain").to_string();
        assert!(error.contains("evil.ops"), "{error}");
    }

    #[test]
    fn what_is_no_model_is_refused() {
        let directory = tempfile::tempdir().expect("temp dir");
        let path = directory.path().join("m.onnx");
        for content in [&b""[..], b"hello, this is a text file", &[0xff; 64]] {
            std::fs::write(&path, content).expect("written");
            assert!(matches!(check(&path), Err(ModelError::Refused { .. })));
        }
        assert!(matches!(check(&directory.path().join("none.onnx")), Err(ModelError::Unreadable { .. })));
    }
}
