//! The parts of an ONNX file that we look at: protobuf messages with only the fields we need
//! (numbers from onnx.proto3), and the signature of the graph.

use std::collections::{BTreeMap, HashMap};

/// onnx.ModelProto
#[derive(Clone, PartialEq, prost::Message)]
pub struct Model {
    /// Operator sets the graph uses.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    /// The graph.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    /// Free key–value pairs.
    #[prost(message, repeated, tag = "14")]
    pub metadata: Vec<Entry>,
    /// Functions local to the model.
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<Function>,
}

/// onnx.OperatorSetIdProto
#[derive(Clone, PartialEq, prost::Message)]
pub struct OperatorSet {
    /// Domain; empty is the default one.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// onnx.FunctionProto
#[derive(Clone, PartialEq, prost::Message)]
pub struct Function {
    /// Nodes of its body.
    #[prost(message, repeated, tag = "7")]
    pub node: Vec<Node>,
    /// Domain it is defined in.
    #[prost(string, tag = "10")]
    pub domain: String,
}

/// onnx.GraphProto
#[derive(Clone, PartialEq, prost::Message)]
pub struct Graph {
    /// Nodes.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    /// Constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    /// Sparse constants.
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<SparseTensor>,
    /// Inputs.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    /// Outputs.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
}

/// onnx.NodeProto
#[derive(Clone, PartialEq, prost::Message)]
pub struct Node {
    /// Names of inputs.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of outputs.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Attributes.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    /// Operator's domain.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// onnx.AttributeProto
#[derive(Clone, PartialEq, prost::Message)]
pub struct Attribute {
    /// A tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<Tensor>,
    /// A graph.
    #[prost(message, optional, tag = "6")]
    pub g: Option<Graph>,
    /// Tensors.
    #[prost(message, repeated, tag = "10")]
    pub tensors: Vec<Tensor>,
    /// Graphs.
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<Graph>,
    /// A sparse tensor.
    #[prost(message, optional, tag = "22")]
    pub sparse_tensor: Option<SparseTensor>,
    /// Sparse tensors.
    #[prost(message, repeated, tag = "23")]
    pub sparse_tensors: Vec<SparseTensor>,
}

/// onnx.SparseTensorProto
#[derive(Clone, PartialEq, prost::Message)]
pub struct SparseTensor {
    /// Values.
    #[prost(message, optional, tag = "1")]
    pub values: Option<Tensor>,
    /// Indices.
    #[prost(message, optional, tag = "2")]
    pub indices: Option<Tensor>,
}

/// onnx.TensorProto, without its data
#[derive(Clone, PartialEq, prost::Message)]
pub struct Tensor {
    /// Shape.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// Name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Where the data are, if they are outside the file.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<Entry>,
    /// 1 if the data are outside the file.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// onnx.StringStringEntryProto
#[derive(Clone, PartialEq, prost::Message)]
pub struct Entry {
    /// Key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// onnx.ValueInfoProto
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValueInfo {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Type.
    #[prost(message, optional, tag = "2")]
    pub value_type: Option<ValueType>,
}

/// onnx.TypeProto, tensors only
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValueType {
    /// A tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor: Option<TensorType>,
}

/// onnx.TypeProto.Tensor
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorType {
    /// Element type.
    #[prost(int32, tag = "1")]
    pub element: i32,
    /// Shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// onnx.TensorShapeProto
#[derive(Clone, PartialEq, prost::Message)]
pub struct Shape {
    /// Dimensions.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// onnx.TensorShapeProto.Dimension
#[derive(Clone, PartialEq, prost::Message)]
pub struct Dimension {
    /// A fixed size.
    #[prost(int64, optional, tag = "1")]
    pub value: Option<i64>,
    /// A named, free size.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
}

/// Element types of the graph that we exchange.
pub mod element {
    /// 32-bit float.
    pub const FLOAT: i32 = 1;
    /// 32-bit integer.
    pub const INT32: i32 = 6;
    /// 64-bit integer.
    pub const INT64: i32 = 7;
    /// 16-bit float.
    pub const FLOAT16: i32 = 10;

    /// Names by number.
    const NAMES: [&str; 17] = [
        "undefined",
        "float",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "double",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
    ];

    /// What ONNX calls it.
    pub fn name(element: i32) -> &'static str {
        usize::try_from(element).ok().and_then(|i| NAMES.get(i)).unwrap_or(&"of an unknown type")
    }
}

/// One input or output: `None` in the shape is a free dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Element type, see [`element`].
    pub element: i32,
    /// Dimensions.
    pub shape: Vec<Option<i64>>,
}

/// Inputs, outputs and the size of the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Inputs by name.
    pub inputs: BTreeMap<String, Port>,
    /// Outputs by name.
    pub outputs: BTreeMap<String, Port>,
}

/// Reads the signature of a graph; constants that older exporters list as inputs are left out.
pub fn signature(graph: &Graph) -> Signature {
    let constants: Vec<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let port = |info: &ValueInfo| {
        let tensor = info.value_type.as_ref().and_then(|t| t.tensor.as_ref());
        let dims = tensor.and_then(|t| t.shape.as_ref()).map(|s| s.dim.iter().map(|d| d.value).collect());
        (info.name.clone(), Port { element: tensor.map_or(0, |t| t.element), shape: dims.unwrap_or_default() })
    };
    Signature {
        inputs: graph.input.iter().filter(|i| !constants.contains(&i.name.as_str())).map(port).collect(),
        outputs: graph.output.iter().map(port).collect(),
    }
}

/// Whether an output comes out of a logistic function, so that it is between 0 and 1 already.
pub fn is_squashed(graph: &Graph, output: &str) -> bool {
    graph.node.iter().any(|node| node.op_type == "Sigmoid" && node.output.iter().any(|name| name == output))
}

/// Rows of the table that `input_ids` looks up, if it can be found: the constant behind the first
/// input of the Gather whose indices are `input_ids`.
pub fn vocabulary_rows(graph: &Graph, input_ids: &str) -> Option<i64> {
    let constants: HashMap<&str, &Tensor> = graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
    let producers: HashMap<&str, &Node> =
        graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
    let behind = |name: &str| {
        let mut name = name.to_owned();
        for _ in 0..8 {
            match producers.get(name.as_str()) {
                Some(node) if !node.input.is_empty() => name.clone_from(&node.input[0]),
                _ => break,
            }
        }
        name
    };
    let lookup =
        graph.node.iter().find(|n| n.op_type == "Gather" && n.input.len() == 2 && behind(&n.input[1]) == input_ids)?;
    constants.get(behind(&lookup.input[0]).as_str())?.dims.first().copied()
}
