//! ONNX Runtime's shared library: loaded once, at run time, from a path.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use ort::environment::Environment;

use super::ModelError;

static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

/// The process's environment; loads the library on the first call. `library` is a path, or `None`
/// for ORT_DYLIB_PATH, or else the system's own.
///
/// # Errors
/// [`ModelError::Library`] if it cannot be loaded.
pub fn environment(library: Option<&Path>) -> Result<&'static Environment, ModelError> {
    let _one_at_a_time = LOADING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let path = match library {
        Some(path) => path.to_owned(),
        None => std::env::var_os("ORT_DYLIB_PATH")
            .filter(|p| !p.is_empty())
            .map_or_else(|| PathBuf::from("libonnxruntime.so"), PathBuf::from),
    };
    let fail = |reason: String| ModelError::Library { path: path.clone(), reason };
    let builder = ort::init_from(&path).map_err(|error| fail(error.to_string()))?;
    let environment =
        builder.with_name("driftd").with_telemetry(false).build().map_err(|error| fail(error.to_string()))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}
