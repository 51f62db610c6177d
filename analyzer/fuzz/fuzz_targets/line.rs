//! Any bytes as a line: what the parser for the fixed shape accepts, the tolerant one accepts with the same meaning.
#![no_main]

use heapsee_format::{parse, tolerant};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mut quick, mut tolerated) = (Vec::new(), Vec::new());
    let _ = tolerant::parse(bytes, &mut tolerated);
    let Some((line, length)) = parse::parse(bytes, &mut quick) else { return };
    tolerated.clear();
    let again = tolerant::parse(&bytes[..length], &mut tolerated);
    assert_eq!(again.ok().flatten(), Some(line));
    assert_eq!(tolerated, quick);
});
