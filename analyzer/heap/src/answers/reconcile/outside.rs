//! Objects that point at memory the dump does not count: buffers, handles and structures of C libraries.

use std::collections::HashMap;

use heapsee_format::meta::Meta;

use crate::heap::View;

/// What is known of a type: the name its objects have in a dump, and what they hold outside of themselves.
const KNOWN: [(&str, &str); 41] = [
    ("numpy.ndarray", "array data: counted in its size if it owns it, not at all if it is a view of something else"),
    ("memoryview", "a view of another object's buffer"),
    ("mmap.mmap", "a mapped file or anonymous memory, not counted in its size"),
    ("_ssl._SSLContext", "an OpenSSL context with its certificates: up to some hundred kB"),
    ("_ssl._SSLSocket", "an OpenSSL connection with its buffers: some ten kB"),
    ("_ssl.MemoryBIO", "an OpenSSL buffer"),
    ("SSLContext", "an OpenSSL context with its certificates: up to some hundred kB"),
    ("sqlite3.Connection", "a SQLite database handle with its page cache"),
    ("sqlite3.Cursor", "a SQLite statement"),
    ("sqlite3.Statement", "a SQLite statement"),
    ("zlib.Compress", "a deflate state: about 256 kB"),
    ("zlib.Decompress", "an inflate state: about 40 kB, and input not yet used"),
    ("_bz2.BZ2Compressor", "a bzip2 state: up to 8 MB"),
    ("_bz2.BZ2Decompressor", "a bzip2 state: up to 4 MB"),
    ("_lzma.LZMACompressor", "an LZMA state: up to hundreds of MB"),
    ("_lzma.LZMADecompressor", "an LZMA state: up to tens of MB"),
    ("pyexpat.xmlparser", "an Expat parser with its buffers"),
    ("lxml.etree._Document", "a libxml2 tree: several times the text of the document"),
    ("lxml.etree._ElementTree", "a libxml2 tree, with the document it is of"),
    ("lxml.etree._Element", "a libxml2 node; it keeps the whole document"),
    ("_hashlib.HASH", "an OpenSSL digest"),
    ("PyCapsule", "a pointer of a C library"),
    ("_cffi_backend.CData", "C data made by cffi"),
    ("_cffi_backend.__CDataOwn", "C data made by cffi"),
    ("pyarrow.lib.Buffer", "Arrow memory"),
    ("pyarrow.lib.ChunkedArray", "Arrow memory"),
    ("pyarrow.lib.Table", "Arrow memory"),
    ("Tensor", "tensor data, in memory or on a GPU"),
    ("torch.storage.UntypedStorage", "tensor data, in memory or on a GPU"),
    ("ImagingCore", "pixels of a Pillow image"),
    ("PIL._imaging.ImagingCore", "pixels of a Pillow image"),
    ("psycopg2.extensions.connection", "a libpq connection with its buffers"),
    ("psycopg2.extensions.cursor", "a libpq result"),
    ("psycopg_c._psycopg.PGconn", "a libpq connection with its buffers"),
    ("grpc._cython.cygrpc.Channel", "a gRPC channel"),
    ("uvloop.Loop", "a libuv loop"),
    ("greenlet.greenlet", "a copy of a C stack while it waits"),
    ("select.epoll", "a kernel object"),
    ("cv2.VideoCapture", "a video decoder with its frames"),
    ("h5py._objects.ObjectID", "an HDF5 handle"),
    ("_io.BytesIO", "a buffer, counted in its size unless it is shared"),
];

/// No class has more bases in a row that matter here.
const DEEPEST: usize = 20;
/// The classes of ctypes whose objects hold data, not functions; its metaclasses are none of them.
const CTYPES_DATA: [&str; 5] = ["Array", "Structure", "Union", "_SimpleCData", "_Pointer"];
const CTYPES: &str = "C data of ctypes, not counted in its size beyond a few bytes";

/// What objects of a type hold outside of themselves.
pub(super) fn of_type(type_name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(name, _)| *name == type_name).map(|&(_, holds)| holds)
}

/// The types whose base, or whose base's base, is known, by type id: subclasses, and the arrays and structures of ctypes,
/// each of which has a class of its own.
pub(super) fn derived(view: &View, meta: &Meta) -> HashMap<u32, &'static str> {
    let holds = |address: &u64| {
        let mut at = meta.types.get(address)?;
        for _ in 0..DEEPEST {
            at = meta.types.get(&at.base?)?;
            if at.module == "_ctypes" {
                return CTYPES_DATA.contains(&at.qualname.as_str()).then_some(CTYPES);
            }
            if let Some(holds) = of_type(&format!("{}.{}", at.module, at.qualname)) {
                return Some(holds);
            }
        }
        None
    };
    let of = |(address, found): (&u64, &heapsee_format::meta::Type)| {
        let name = found.qualname.rsplit('.').next()?;
        Some((view.type_by_name(name)?, holds(address)?))
    };
    meta.types.iter().filter_map(of).collect()
}

/// Whether the name looks like that of a type of a C extension that is not Python's own: a package in front.
pub(super) fn top_module(type_name: &str) -> Option<&str> {
    type_name.split_once('.').map(|(top, _)| top)
}
