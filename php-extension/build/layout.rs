//! The layout of what C and Rust both declare. Both halves refuse to compile with another one.

use std::fmt::Write as _;

/// A struct: its name in C and in Rust, its size, and its fields: their names in C and in Rust, and
/// their offsets. On machines with 64 bits.
type Struct = (
    &'static str,
    &'static str,
    usize,
    &'static [(&'static str, &'static str, usize)],
);

const STRUCTS: [Struct; 5] = [
    (
        "bridge_value",
        "RawValue",
        24,
        &[
            ("kind", "kind", 0),
            ("n", "n", 4),
            ("as", "payload", 8),
            ("length", "length", 16),
        ],
    ),
    (
        "bridge_entry",
        "RawEntry",
        48,
        &[("key", "key", 0), ("value", "value", 24)],
    ),
    (
        "bridge_keep",
        "RawKeep",
        12,
        &[
            ("slot", "slot", 0),
            ("how", "how", 4),
            ("argument", "argument", 8),
        ],
    ),
    (
        "bridge_keeps",
        "RawKeeps",
        100,
        &[("count", "count", 0), ("all", "all", 4)],
    ),
    (
        "bridge_frame",
        "RawFrame",
        576,
        &[
            ("self", "object", 0),
            ("handle", "handle", 8),
            ("argc", "argc", 16),
            ("keeps", "keeps", 20),
            ("argv", "argv", 120),
            ("outs", "answer.outs", 312),
            ("error", "answer.error", 316),
            ("argument", "answer.argument", 320),
            ("constructed", "answer.constructed", 324),
            ("memory", "answer.memory", 328),
            ("message", "answer.message", 336),
            ("message_length", "answer.message_length", 344),
            ("made", "answer.made", 352),
            ("result", "answer.result", 360),
            ("out", "answer.out", 384),
        ],
    ),
];

/// The kinds of a value, in the order of their numbers.
const KINDS: [&str; 17] = [
    "UNSET",
    "NULL",
    "FALSE",
    "TRUE",
    "LONG",
    "DOUBLE",
    "STRING",
    "ARRAY",
    "OBJECT",
    "DESCRIPTOR",
    "ZVAL",
    "NEW",
    "SELF",
    "SLOT",
    "DATA",
    "ITEM",
    "SOCKET",
];

pub(crate) fn c() -> String {
    let mut text = String::new();
    for (number, kind) in KINDS.iter().enumerate() {
        let _ = writeln!(
            text,
            "_Static_assert(BRIDGE_{kind} == {number}, \"{kind}\");"
        );
    }
    text += "_Static_assert(offsetof(bridge_object, handle) == 0, \"handle\");\n\
             #if SIZEOF_SIZE_T == 8\n\
             _Static_assert(offsetof(bridge_object, class_id) == 8, \"class_id\");\n";
    for (name, _, size, fields) in STRUCTS {
        let _ = writeln!(
            text,
            "_Static_assert(sizeof({name}) == {size}, \"{name}\");"
        );
        for (field, _, offset) in fields {
            let _ = writeln!(
                text,
                "_Static_assert(offsetof({name}, {field}) == {offset}, \"{name}.{field}\");"
            );
        }
    }
    text + "#endif\n"
}

pub(crate) fn rust() -> String {
    let mut text = String::new();
    for (number, kind) in KINDS.iter().enumerate() {
        let _ = writeln!(text, "const _: () = assert!({kind} == {number});");
    }
    text += "const _: () = assert!(std::mem::offset_of!(RawObject, handle) == 0);\n";
    text +=
        "const _: () = assert!(std::mem::offset_of!(RawObject, class) == size_of::<usize>());\n";
    let sized = "#[cfg(target_pointer_width = \"64\")]\nconst _: () = assert!";
    for (_, name, size, fields) in STRUCTS {
        let _ = writeln!(text, "{sized}(size_of::<{name}>() == {size});");
        for (_, field, offset) in fields {
            let _ = writeln!(
                text,
                "{sized}(std::mem::offset_of!({name}, {field}) == {offset});"
            );
        }
    }
    text
}
