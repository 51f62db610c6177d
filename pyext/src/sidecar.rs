//! The sidecar as bytes, within its limit. What it says is [`heapsee_format::meta`]'s.

use heapsee_format::meta;

use crate::problem::Problem;

/// The sidecar's bytes, kept below their limit: types go first, then threads' outer frames.
///
/// # Errors
/// None that is known; a serializer may fail.
pub fn render(meta: &mut meta::Meta) -> Result<Vec<u8>, Problem> {
    loop {
        let mut bytes =
            serde_json::to_vec(meta).map_err(|error| Problem(format!("cannot write the sidecar: {error}")))?;
        bytes.push(b'\n');
        if bytes.len() <= meta::SIZE_LIMIT || !leave_out_half(meta) {
            return Ok(bytes);
        }
    }
}

fn leave_out_half(meta: &mut meta::Meta) -> bool {
    if !meta.types.is_empty() {
        let half = meta.types.len().div_ceil(2);
        meta.types_left_out += half as u64;
        let kept = meta.types.keys().nth(half).copied();
        meta.types = kept.map(|first| meta.types.split_off(&first)).unwrap_or_default();
        return true;
    }
    let deepest = meta.threads.iter().map(|thread| thread.frames.len()).max().unwrap_or(0);
    for thread in &mut meta.threads {
        thread.frames.truncate(deepest / 2);
    }
    deepest > 0
}
